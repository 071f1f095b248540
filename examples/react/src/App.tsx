import { BrowserRouter, NavLink, Outlet, Route, Routes } from 'react-router'
import { Orders } from './Orders'
import { Protected } from './Protected'
import { SignIn } from './SignIn'
import { session, useSession } from './session'

export function App() {
  return (
    <BrowserRouter>
      <Routes>
        <Route element={<Frame />}>
          <Route index element={<Home />} />
          <Route path="sign-in" element={<SignIn />} />
          <Route element={<Protected />}>
            <Route path="orders" element={<Orders />} />
          </Route>
          <Route path="*" element={<h1>There is no such page</h1>} />
        </Route>
      </Routes>
    </BrowserRouter>
  )
}

function Frame() {
  const { status, trouble } = useSession()
  return (
    <>
      <nav>
        <NavLink to="/">Home</NavLink>
        <NavLink to="/orders">Orders</NavLink>
        {status === 'signed_out' && <NavLink to="/sign-in">Sign in</NavLink>}
        {/* It is true at once, in all tabs; the edge is told as soon as it can be reached. */}
        {status === 'signed_in' && <button onClick={() => void session.logout()}>Sign out</button>}
      </nav>
      <main>
        <Outlet />
      </main>
      {trouble && <footer>The connection is disturbed; trying again.</footer>}
    </>
  )
}

function Home() {
  const { status, session: who } = useSession()
  return <h1>{{ restoring: 'Hello', signed_out: 'Hello, whoever you are', signed_in: `Hello, ${who?.subject}` }[status]}</h1>
}

import { useEffect, useState } from 'react'
import { session, useSession } from './session'

export function Orders() {
  const { session: who } = useSession()
  const [told, setTold] = useState('Asking …')

  // Like fetch(): the access token goes along, and is renewed when it has to be.
  const load = async (signal: AbortSignal | null = null) => {
    try {
      const answer = await session.fetch('/api/orders', { signal })
      if (!answer.ok) return setTold(`The service answers ${answer.status}.`)
      const { subject, orders } = (await answer.json()) as { subject: string; orders: unknown[] }
      setTold(`${subject} has ${orders.length} orders.`)
    } catch {
      if (!signal?.aborted) setTold('The service cannot be reached.')
    }
  }

  useEffect(() => {
    const gone = new AbortController()
    void load(gone.signal)
    return () => gone.abort()
  }, [])

  return (
    <>
      <h1>Orders of {who?.subject}</h1>
      <p role="status">{told}</p>
      <button onClick={() => void load()}>Ask again</button>
    </>
  )
}

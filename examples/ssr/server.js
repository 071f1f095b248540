// A server that renders one page for whoever asks. What React would make of `who`, renderToString() included, is as good
// a page as this template.

import { createServer } from 'node:http'
import { whoAsks } from './session.js'

const { PORT = '3003', EDGE_URL = 'http://localhost:8080', PUBLIC_URL = EDGE_URL } = process.env

const escaped = (text) => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)

const sentence = ({ status, session }) => {
  if (status === 'signed_in') return `Signed in as ${escaped(session.subject)}`
  return status === 'signed_out' ? 'Signed out' : 'Not known yet'
}

const page = (who) => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<link rel="icon" href="data:,">
<title>Who is it?</title>
<p>${sentence(who)}</p>
`

const server = createServer(async (request, response) => {
  // Pages only: a picture or a script that asks the edge too would make a load of it, and rotate the cookie each time.
  if (request.method !== 'GET' || request.url.split('?')[0] !== '/') return response.writeHead(404).end()
  const who = await whoAsks(request, response, { url: EDGE_URL, publicUrl: PUBLIC_URL })
  response.setHeader('Content-Type', 'text/html; charset=utf-8')
  response.end(page(who))
})

server.listen(Number(PORT), 'localhost', () => console.log(`pages at http://localhost:${server.address().port}/`))

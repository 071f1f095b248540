// Makes one host of the page and Symbolon's edge, as a proxy does in production: what is the edge's goes to the edge, and
// whatever goes anywhere else goes without the refresh cookie. Copy this file.
//
// The cookie is taken out in front of all upstreams and not in the options of each, so that one that is added later is
// not forgotten; and not in `proxyReq`, since Vite's proxy does not say so of every request (of none with `Expect`).

import type { IncomingMessage } from 'node:http'
import type { CommonServerOptions, Plugin, PreviewServer, ViteDevServer } from 'vite'

/** The edge's routes. They alone see the jar as it is: two cookies of its name are the edge's business to refuse. */
const ROUTES = '/auth/'
/** What services ask for the edge's keys. It needs no cookie. */
const DISCOVERY = '^/\\.well-known/(?:jwks\\.json|oauth-authorization-server|openid-configuration)(?:\\?|$)'

/** The cookie of an edge on https, and of one on http with its port. With SYMBOLON_EDGE_COOKIE_NAME set, put yours here. */
const OURS = /^[ \t]*(?:__Host-Http-symbolon|symbolon-[0-9]+)[ \t]*=/i

/** Takes out every cookie of these names, and nothing else. */
const strip = ({ headers }: IncomingMessage) => {
  const others = headers.cookie?.split(';').filter((cookie) => !OURS.test(cookie)).join(';').trim()
  // A refresh token under another name is no browser's of yours: rather no cookie at all.
  if (!others || others.includes('sr1_')) delete headers.cookie
  else headers.cookie = others
}

export const symbolon = ({ edge }: { edge: string }): Plugin => {
  // Vite asks its upstreams in order: first those, whatever else begins like them.
  const first = <Options extends CommonServerOptions>(options?: Options) => ({
    ...options,
    proxy: { [ROUTES]: { target: edge }, [DISCOVERY]: { target: edge }, ...options?.proxy },
  })
  const guard = ({ middlewares, httpServer }: ViteDevServer | PreviewServer) => {
    middlewares.use((request, _response, next) => {
      if (!request.url?.startsWith(ROUTES)) strip(request)
      next()
    })
    // The edge has no WebSockets.
    httpServer?.on('upgrade', strip)
  }
  return {
    name: 'symbolon',
    enforce: 'pre',
    config: (config) => {
      config.server = first(config.server)
      // Without upstreams of its own the preview takes those of the server.
      if (config.preview?.proxy) config.preview = first(config.preview)
    },
    configureServer: guard,
    configurePreviewServer: guard,
  }
}

import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'
import { symbolon } from './vite-symbolon.ts'

const { EDGE_URL = 'http://localhost:8080', API_URL = 'http://localhost:3002' } = process.env

export default defineConfig({
  plugins: [react(), symbolon({ edge: EDGE_URL })],
  server: {
    // An origin that `symbolon dev` lists.
    port: 5173,
    strictPort: true,
    proxy: { '/api/': { target: API_URL, rewrite: (path) => path.slice('/api'.length) } },
  },
  preview: { port: 5173, strictPort: true },
})

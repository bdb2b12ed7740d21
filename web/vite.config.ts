import adapter from '@sveltejs/adapter-static'
import { sveltekit } from '@sveltejs/kit/vite'
import tailwindcss from '@tailwindcss/vite'
import { defineConfig } from 'vite'

/** Where `vite dev` finds a running server. */
const api = process.env.API ?? 'http://127.0.0.1:8765'

export default defineConfig({
  plugins: [
    tailwindcss(),
    sveltekit({
      adapter: adapter({ pages: 'build', assets: 'build', fallback: 'index.html', strict: true, precompress: true }),
      alias: { $lib: 'src/lib', $shared: '../shared' },
    }),
  ],
  // The one large chunk is the grammars that colour code; it is fetched when a conversation shows code.
  build: { chunkSizeWarningLimit: 900 },
  server: {
    host: '127.0.0.1',
    fs: { allow: ['..'] },
    proxy: { '/api': { target: api }, '/v1': { target: api }, '/ws': { target: api.replace('http', 'ws'), ws: true } },
  },
})

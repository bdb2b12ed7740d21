// Joins the server's 200 sources, and those packages that a start reads, into a few files below node_modules: most of a
// start is finding and reading 450 files. `main.ts` takes the bundle only while it is of the very sources on disk, so
// nothing changes but the time. Run by setup.mjs, hence plain JavaScript.
import { rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'vite'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const FOLDER = join(ROOT, 'node_modules', '.gatehouse')
/** Plain JavaScript in many files. What has native parts, or is read on first use, stays where it is. */
const JOINED = ['@hono/node-server', 'hono', 'ipaddr.js', 'kysely', 'ulid', 'valibot']

const LIST = join(FOLDER, 'sources.json')

// While it is being written there is none.
rmSync(LIST, { force: true })
const output = await build({
  root: ROOT,
  configFile: false,
  publicDir: false,
  logLevel: 'error',
  plugins: [{ name: 'own-folder', enforce: 'pre', transform: nameFolder }],
  ssr: { noExternal: JOINED },
  build: {
    ssr: true,
    outDir: FOLDER,
    // A server that runs from the last bundle may still load parts of it.
    emptyOutDir: false,
    target: 'esnext',
    minify: false,
    rollupOptions: {
      input: { serve: join(ROOT, 'server/cli/serve.ts'), current: join(ROOT, 'server/runtime/current.ts') },
      output: { entryFileNames: '[name].mjs', chunkFileNames: '[name]-[hash].mjs' },
    },
  },
})

const sources = new Set(output.output.flatMap((chunk) => chunk.type === 'chunk' ? chunk.moduleIds : []))
const own = [...sources].filter((id) => id.startsWith(ROOT) && !id.includes('node_modules'))
const files = [...own, join(ROOT, 'package-lock.json')].map((path) => {
  const { size, mtimeMs } = statSync(path)
  return [relative(ROOT, path), size, Math.floor(mtimeMs)]
})
writeFileSync(LIST, JSON.stringify({ root: ROOT, files }))

/** Sources find the files beside them by their own folder, which the bundle does not share. */
function nameFolder(code, id) {
  if (!code.includes('import.meta.dirname')) return undefined
  return code.replaceAll('import.meta.dirname', JSON.stringify(dirname(id)))
}

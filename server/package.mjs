// Makes the npm package: `node server/package.mjs [FOLDER]` fills dist/, and `npm pack ./dist` packs it. Node runs no
// TypeScript under node_modules, so it holds JavaScript, in the layout of the checkout so that no path differs. It has
// a package.json of its own: whoever installs it needs neither our tools nor a Node of ours.
import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = resolve(process.argv[2] ?? join(root, 'dist'))

if (!existsSync(join(root, 'web/build/index.html'))) {
  console.error('package: the control UI is not built; run first: node server/setup.mjs --ui')
  process.exit(1)
}

rmSync(folder, { recursive: true, force: true })
mkdirSync(folder, { recursive: true })
compile()
cpSync(join(root, 'server/db/migrations'), join(folder, 'server/db/migrations'), { recursive: true })
cpSync(join(root, 'web/build'), join(folder, 'web/build'), {
  recursive: true,
  filter: (path) => !path.endsWith('.setup'),
})
bringPlugins()
for (const name of ['LICENSE', 'README.md']) {
  if (existsSync(join(root, name))) cpSync(join(root, name), join(folder, name))
}
writeManifest()
// For those who unpack it without npm.
chmodSync(join(folder, 'server/main.js'), 0o755)

function compile() {
  const config = join(folder, 'tsconfig.json')
  const from = (path) => relative(folder, join(root, path)).replaceAll('\\', '/')
  writeFileSync(
    config,
    JSON.stringify({
      extends: from('tsconfig.json'),
      compilerOptions: {
        noEmit: false,
        // `npm run check` looks at the types; this only takes them out.
        noCheck: true,
        types: [],
        rewriteRelativeImportExtensions: true,
        rootDir: from('.') || '.',
        outDir: '.',
      },
      include: [from('server'), from('shared'), from('plugins')],
      exclude: [from('server/**/*.test.ts'), from('shared/**/*.test.ts'), from('plugins/**/*.test.ts')],
    }),
  )
  const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc')
  const { status } = spawnSync(process.execPath, [tsc, '-p', config], { stdio: ['ignore', 2, 2] })
  if (status !== 0) process.exit(status ?? 1)
  rmSync(config)
}

/** What the compiler leaves of the plugins, with manifests that name what it made. */
function bringPlugins() {
  cpSync(join(root, 'plugins'), join(folder, 'plugins'), { recursive: true, filter: (path) => !path.endsWith('.ts') })
  for (const name of readdirSync(join(folder, 'plugins'))) {
    const file = join(folder, 'plugins', name, 'plugin.json')
    if (!existsSync(file)) continue
    const manifest = JSON.parse(readFileSync(file, 'utf8'))
    if (manifest.entry) manifest.entry = manifest.entry.replace(/\.ts$/, '.js')
    writeFileSync(file, `${JSON.stringify(manifest, null, 2)}\n`)
  }
}

function writeManifest() {
  const { name, version, description, license, dependencies } = JSON.parse(
    readFileSync(join(root, 'package.json'), 'utf8'),
  )
  const manifest = {
    name,
    version,
    description,
    license,
    type: 'module',
    engines: { node: '>=22.12' },
    bin: { gatehouse: 'server/main.js' },
    exports: { './package.json': './package.json' },
    dependencies,
  }
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`)
}

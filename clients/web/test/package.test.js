// What is published: one file of at most 5 KiB, without dependencies, with types that hold.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'

const here = join(dirname(fileURLToPath(import.meta.url)), '..')
// What is borrowed comes from this package's devDependencies, or from where the repository's tests install theirs.
const borrowed = createRequire(process.env.SYMBOLON_TOOLS ? join(process.env.SYMBOLON_TOOLS, 'package.json') : join(here, 'package.json'))
const source = await readFile(join(here, 'symbolon.js'), 'utf8')

test('minified and gzipped it is at most 5 KiB', async (t) => {
  const { code } = await borrowed('esbuild').transform(source, { minify: true, format: 'esm' })
  const size = gzipSync(code, { level: 9 }).length
  t.diagnostic(`${size} bytes`)
  assert.ok(size <= 5 * 1024, `${size} bytes`)
})

test('it imports nothing and depends on nothing', async () => {
  const manifest = JSON.parse(await readFile(join(here, 'package.json'), 'utf8'))
  assert.equal(manifest.dependencies, undefined)
  assert.doesNotMatch(source, /^\s*import\b|\bimport\(|\brequire\(/m)
})

test('the types say what an application may write, and what not', async () => {
  const tsc = join(dirname(borrowed.resolve('typescript/package.json')), 'bin', 'tsc')
  await promisify(execFile)(process.execPath, [tsc, '--project', here]).catch(({ stdout }) => assert.fail(stdout))
})

test('the types name exactly what there is', async () => {
  const module = await import('../symbolon.js')
  assert.deepEqual(Object.keys(module).sort(), ['SymbolonError', 'createSession'])
  const session = module.createSession({ apiOrigins: [] })
  const types = await readFile(join(here, 'symbolon.d.ts'), 'utf8')
  const declared = types.slice(types.indexOf('export interface Session {'), types.indexOf('/** What a page may show')).matchAll(/^ {2}(\w+)[(:]/gm)
  assert.deepEqual(Object.keys(session).sort(), [...declared].map(([, name]) => name).sort())
})

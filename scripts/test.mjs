// `npm test`: sets up what is missing, then runs every check that needs no GPU, area by area, each with its time.
// Ends with what failed, said again for those who see only the end of a log, and one line
// `N passed, N failed[, N skipped]`; the exit code says whether anything failed.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { CLIENTS, pythonPackages, SCHEMATHESIS } from './pythonPackages.mjs'
import { fetchDefaultModel, projectEnv, root, runScript, setup } from './setup.mjs'

const full = process.argv.includes('--full')
const shared = join(root, '..', 'shared')

/** @typedef {{ passed: number, failed: number, skipped: number }} Counts */

const one = ok => ({ passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0 })

/** What failed, in words: the test or the command, and the beginning of its message. */
const failures = []

/** What the set-up adds to the environment of the tests. */
const testEnv = full ? { MISTRALRS_TEST_FULL: '1' } : {}

function command(name, args) {
  const [file, ...rest] = args
  const env = { ...projectEnv(), ...testEnv }
  const result = spawnSync(file, rest, { cwd: root, stdio: 'inherit', env })
  if (result.error) console.error(`${name}: ${result.error.message}`)
  const ok = result.status === 0
  if (!ok) failures.push(`${name} ended with ${result.signal ?? result.status}`)
  return ok
}

/** Runs vitest and counts its tests. */
function vitest(...selection) {
  const folder = mkdtempSync(join(tmpdir(), 'mistralrs-test-'))
  const report = join(folder, 'report.json')
  try {
    const ok = command('vitest', [
      'vitest',
      'run',
      ...selection,
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${report}`,
    ])
    if (!existsSync(report)) return one(false)
    const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, testResults } =
      JSON.parse(readFileSync(report, 'utf8'))
    for (const file of testResults) failures.push(...failuresOf(file))
    // A file that fails to load has no failed test, only a failed run.
    const failed = numFailedTests || (ok ? 0 : 1)
    return { passed: numPassedTests, failed, skipped: numPendingTests + numTodoTests }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** @param file an entry of `testResults` in vitest's JSON report */
function failuresOf({ name, status, message, assertionResults }) {
  const path = relative(root, name)
  const beginning = text => {
    const lines = stripVTControlCharacters(text).split('\n')
    const ours = lines.filter(line => !line.includes('node_modules') && !line.includes('at new '))
    return ours.slice(0, 20).join('\n    ')
  }
  const failed = assertionResults.filter(test => test.status === 'failed')
  if (failed.length === 0 && status === 'failed') return [`${path}\n    ${beginning(message)}`]
  return failed.map(
    test => `${path} > ${test.fullName}\n    ${beginning(test.failureMessages.join('\n'))}`,
  )
}

/** Every native test program counts as one. */
function nativeTests() {
  const folder = join(root, 'build', 'native')
  const programs = readdirSync(folder).filter(
    name => /^native_tests/.test(name) && !name.includes('.'),
  )
  const counts = { passed: 0, failed: programs.length === 0 ? 1 : 0, skipped: 0 }
  for (const name of programs) {
    if (command(name, [join(folder, name)])) counts.passed++
    else counts.failed++
  }
  return counts
}

/** Checks against the reference data beside the project, where it is. */
function withShared(label, folder, args) {
  const path = join(shared, folder)
  if (existsSync(path)) return [{ label, run: () => one(command(label, [...args, path])) }]
  const skip = () => {
    console.log(`skipped: ${path} is not there`)
    return { passed: 0, failed: 0, skipped: 1 }
  }
  return [{ label, run: skip }]
}

const areas = [
  { label: 'types', run: () => one(command('tsc', ['tsc', '--noEmit', '-p', '.'])) },
  { label: 'lint', run: () => one(command('biome', ['biome', 'check', '--error-on-warnings'])) },
  { label: 'native', run: nativeTests },
  { label: 'vitest', run: () => vitest('--exclude', 'test/timing/**') },
  // What is measured must not share the machine with other tests.
  { label: 'timing', run: () => vitest('test/timing') },
  {
    label: 'golden',
    run: () => one(command('golden', ['node', 'test/golden/cli.ts', 'test/goldens'])),
  },
  ...withShared('golden (reference data)', 'fixtures', ['node', 'test/golden/cli.ts']),
  ...withShared('templates', 'conformance/templates', [
    'node',
    'test/conformance/cli.ts',
    'templates',
  ]),
  ...withShared('vocabularies', 'conformance/vocab', ['node', 'test/conformance/cli.ts', 'vocab']),
]

process.exitCode = await runScript(async () => {
  const times = []
  const total = { passed: 0, failed: 0, skipped: 0 }
  const timed = async (label, run) => {
    console.log(`\n=== ${label} ===`)
    const started = Date.now()
    const counts = await run()
    const seconds = (Date.now() - started) / 1000
    times.push({ label, seconds, ...counts })
    for (const key of Object.keys(total)) total[key] += counts[key]
  }
  await timed('setup', async () => {
    const node = await setup({ tests: true })
    if (!fetchDefaultModel(node)) console.log('tests of the default model will be skipped')
    const clients = pythonPackages(CLIENTS)
    if (clients.python) {
      testEnv.PYTHON = clients.python
      if (clients.path) testEnv.PYTHONPATH = clients.path
    } else console.log(`tests of Python clients will be skipped: ${clients.reason}`)
    const fuzzer = pythonPackages(SCHEMATHESIS)
    // A path of its own: the two need releases of the same packages that may differ.
    if (fuzzer.path) testEnv.SCHEMATHESIS_PATH = fuzzer.path
    if (fuzzer.reason) console.log(`the API will not be fuzzed: ${fuzzer.reason}`)
    return { passed: 0, failed: 0, skipped: 0 }
  })
  for (const { label, run } of areas) await timed(label, run)

  console.log('\narea                       time   passed  failed  skipped')
  for (const { label, seconds, passed, failed, skipped } of times) {
    const cells = [passed, failed, skipped].map(n => String(n).padStart(7)).join(' ')
    console.log(`${label.padEnd(24)} ${seconds.toFixed(1).padStart(6)} s ${cells}`)
  }
  for (const failure of failures) console.log(`\nfailed: ${failure}`)
  const skips = total.skipped > 0 ? `, ${total.skipped} skipped` : ''
  console.log(`\n${total.passed} passed, ${total.failed} failed${skips}`)
  return total.failed === 0 ? 0 : 1
})

import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { openapiDocument } from '../../edge/openapi/document.ts'
import { listenScripted } from '../http/nodeServer.ts'

const { PYTHON = 'python3', SCHEMATHESIS_PATH, MISTRALRS_TEST_FULL, ...environment } = process.env
const env = {
  ...environment,
  ...(SCHEMATHESIS_PATH !== undefined && { PYTHONPATH: SCHEMATHESIS_PATH }),
}
const run = promisify(execFile)

/** Boundary values of every field take a minute; examples and a few random bodies some seconds. */
const amount = MISTRALRS_TEST_FULL
  ? '--phases examples,coverage,fuzzing --max-examples 30'
  : '--phases examples,fuzzing --max-examples 3'

const checks = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_headers_conformance',
  'response_schema_conformance',
  'unsupported_method',
]

const { paths } = openapiDocument({ hasKeys: false })
const numOperations = Object.values(Object(paths)).flatMap(item => Object.keys(Object(item))).length

test('the server answers as its document says', { timeout: 600_000 }, async ({ skip }) => {
  try {
    await run(PYTHON, ['-c', 'import schemathesis'], { env })
  } catch {
    console.log(`skipped: ${PYTHON} cannot import schemathesis; npm test installs it in build/`)
    return skip()
  }
  const server = await listenScripted({ app: { metrics: async () => 'up 1\n' } })
  const cwd = await mkdtemp(join(tmpdir(), 'mistralrs-schemathesis-'))
  try {
    const options = `${amount} --seed 1 --no-color --no-shrink --continue-on-failure`
    const { report } = await run(
      PYTHON,
      [
        fileURLToPath(new URL('run_schemathesis.py', import.meta.url)),
        'run',
        `${server.origin}/openapi.json`,
        ...options.split(' '),
        '--checks',
        checks.join(),
      ],
      { env, cwd, maxBuffer: 2 ** 26 },
    ).then(
      ({ stdout }) => ({ report: stdout }),
      ({ stdout, stderr }) => {
        throw new Error(`${stdout}${stderr}`)
      },
    )
    const [, tested] = /Tested: (\d+)/.exec(report) ?? []
    // All but the document, which it has read before.
    expect(Number(tested)).toBe(numOperations - 1)
  } finally {
    await server.close()
    await rm(cwd, { recursive: true })
  }
})

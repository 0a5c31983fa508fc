import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { chatRequest, Running, tinyModel } from '../cli/command.ts'
import { buildImage, type Image, trackedFiles } from './buildImage.ts'
import { composeService } from './dockerfile.ts'

// `npm test` takes packages and addon of this checkout; `npm run test:full` installs and compiles in the clean folder too.
const full = process.env.MISTRALRS_TEST_FULL === '1'
const tracked = trackedFiles()
if (tracked === undefined) console.log('skipped: without git nothing tells what a clone has')

/** In a PID namespace of its own a process is number 1, as in a container, and signals it has no handler for are lost. */
const namespace = ['unshare', '--pid', '--fork', '--kill-child']
const canBeFirst = spawnSync('unshare', [...namespace.slice(1), 'true']).status === 0
if (!canBeFirst) console.log('no PID namespaces here: the image runs as an ordinary process')

describe.skipIf(tracked === undefined)('the image, built in a clean folder', () => {
  let folder: string
  let image: Image
  const started: Running[] = []

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'mistralrs-image-'))
    image = await buildImage(folder, tracked ?? [], full)
    writeFileSync(join(folder, 'secret'), 'sesame\n')
  }, 900_000)
  afterAll(() => {
    for (const { child } of started) child.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  })

  const path = `${dirname(process.execPath)}:${process.env.PATH}`

  /** Runs a command of compose.yaml with what differs here. */
  function start(command: string[], changes: Record<string, string>): Running {
    const args = command.map(word => changes[word] ?? word)
    const [program = '', ...rest] = [
      ...(canBeFirst ? namespace : []),
      ...image.entrypoint,
      ...args,
      ...['--host', '127.0.0.1'],
    ]
    const running = new Running(program, rest, { env: { ...image.env, PATH: path } })
    started.push(running)
    return running
  }

  function healthStatus(test: string[], url?: string): number | null {
    const words = test.slice(test.indexOf('CMD') + 1).map(image.at)
    const [program = '', ...args] = words.map(word => (word.startsWith('http') && url) || word)
    return spawnSync(program, args, { env: { PATH: path } }).status
  }

  function terminate({ child }: Running): void {
    const { pid = 0 } = child
    const first = canBeFirst ? readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8') : pid
    process.kill(Number(first), 'SIGTERM')
  }

  test('holds what runs and nothing else', () => {
    const files = readdirSync(image.at('/app'), { recursive: true, encoding: 'utf8' })
    expect(readdirSync(image.at('/app')).sort()).toEqual([
      'build',
      'edge',
      'healthcheck.mjs',
      'node_modules',
      'package.json',
      'runtime',
    ])
    expect(files.filter(name => name.endsWith('.test.ts'))).toEqual([])
    for (const developed of ['vitest', 'typescript', 'workerd', 'openai']) {
      expect(files).not.toContain(`node_modules/${developed}`)
    }
    expect(files).toContain('build/native/mistralrs.node')
    expect(readdirSync(image.at('/data'))).toEqual([])
  })

  test('serves through edge and container as compose.yaml starts them, and ends on SIGTERM', async () => {
    const secret = { '/run/secrets/engine': join(folder, 'secret') }
    const [containerService, edgeService] = [composeService('container'), composeService('edge')]
    const model = containerService.command.find(word => word.startsWith('${')) ?? ''
    const changes = { ...secret, [model]: tinyModel, '8443': '0' }
    const container = start(containerService.command, changes)
    const [, upstream = ''] = await container.waitFor(/Container listening on (\S+)\n/)
    const upstreamChange = { ...secret, 'http://container:8443': upstream }
    const edge = start([...edgeService.command, '--port', '0'], upstreamChange)
    const [, origin = ''] = await edge.waitFor(/Server listening on (\S+)\n/)

    expect(healthStatus(containerService.healthcheck, `${upstream}/ready`)).toBe(0)
    expect(healthStatus(edgeService.healthcheck, `${origin}/ready`)).toBe(0)
    const response = await fetch(`${origin}/v1/chat/completions`, chatRequest({ max_tokens: 5 }))
    expect(response.status).toBe(200)
    for (const running of [edge, container]) {
      terminate(running)
      expect(await running.ended).toMatchObject({ code: 0, stderr: '' })
    }
    expect(healthStatus(edgeService.healthcheck, `${origin}/ready`)).toBe(1)
  })

  test('its own health check fails where nothing listens', () => {
    expect(healthStatus([...image.healthcheck, 'http://127.0.0.1:1/health'])).toBe(1)
  })
})

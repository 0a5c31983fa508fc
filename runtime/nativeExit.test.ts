import { spawn } from 'node:child_process'
import { describe, expect, it } from 'vitest'

// What happens to a process, or a worker thread, that ends while native threads compute for it: nothing may crash or hang.

const setUp = `
  import { Worker, isMainThread, parentPort } from 'node:worker_threads'
  import { readdirSync } from 'node:fs'
  import { loadNative } from '${new URL('loadNative.ts', import.meta.url)}'
  import * as models from '${new URL('../test/support/nativeTestModels.ts', import.meta.url)}'
  const native = loadNative()
  const folder = new models.WeightFolder()
  process.on('exit', () => folder[Symbol.dispose]())
  const { slowBatch, slotOptions } = models
  const loadSlow = () => native.load(models.slowModel(folder))
  const loadTiny = () => native.load(models.cycleModel(folder, 'cpu'))
  const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))
  const numThreads = () => readdirSync('/proc/self/task').length
`

interface Ending {
  code: number | null
  signal: string | null
  output: string
  ms: number
}

function run(script: string, ...flags: string[]): Promise<Ending> {
  const started = performance.now()
  const child = spawn(process.execPath, [...flags, '--input-type=module', '-e', setUp + script], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 50_000,
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', text => {
      output += text
    })
  }
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) =>
      resolve({ code, signal, output, ms: performance.now() - started }),
    )
  })
}

const inWorker = (script: string) => `
  const worker = new Worker(${JSON.stringify(`${setUp}${script}`)}, { eval: true, execArgv: ['--input-type=module'] })
`

describe('a process that ends', () => {
  it.each([
    [
      'by process.exit() during a step',
      'const m = await loadSlow(); m.forward(slowBatch()); await sleep(30); process.exit(7)',
      7,
    ],
    [
      'by process.exit() while calls are queued',
      'const m = await loadSlow(); for (let i = 0; i < 9; i++) m.forward(slowBatch()); process.exit(7)',
      7,
    ],
    ['by process.exit() during a load', 'loadSlow(); loadTiny(); process.exit(7)', 7],
    [
      'by process.exit() in a progress listener',
      'native.load(models.slowModel(folder), () => process.exit(7)); await sleep(9000)',
      7,
    ],
    [
      'by an exception during a step',
      'const m = await loadSlow(); m.forward(slowBatch()); await sleep(30); throw new Error("on purpose")',
      1,
    ],
    [
      'while a model is idle',
      'const m = await loadTiny(); m.openSlot(slotOptions()); console.log("idle")',
      0,
    ],
    ['after dispose', 'const m = await loadTiny(); await m.dispose(); console.log("done")', 0],
    [
      'after two models',
      'const [a, b] = await Promise.all([loadTiny(), loadSlow()]); b.forward(slowBatch()); await sleep(10); process.exit(7)',
      7,
    ],
  ])('%s', async (_name, script, code) => {
    const ending = await run(script)
    expect(ending).toMatchObject({ code, signal: null })
    expect(ending.ms).toBeLessThan(5000)
  })

  it('only once its calls are settled', async () => {
    const { code, output } = await run(`
      const m = await loadSlow()
      m.forward(slowBatch()).then(({ ms }) => console.log('forward', ms > 0))
    `)
    expect({ code, output }).toEqual({ code: 0, output: 'forward true\n' })
  })

  it('only once a load is settled', async () => {
    const { code, output } = await run(`loadTiny().then(() => console.log('loaded'))`)
    expect({ code, output }).toEqual({ code: 0, output: 'loaded\n' })
  })
})

describe('a worker thread that ends', { timeout: 60_000 }, () => {
  it('by terminate() during steps and loads, many times', async () => {
    const { code, signal, output } = await run(`
      for (let i = 0; i < 8; i++) {
        ${inWorker(`
          const m = await loadSlow()
          loadSlow()
          for (let i = 0; i < 5; i++) m.forward(slowBatch()).catch(() => {})
          const slot = m.openSlot(slotOptions())
          setInterval(() => { m.readLogits(0).catch(() => {}) }, 1)
          parentPort.postMessage('running')
        `)}
        await new Promise(resolve => worker.once('message', resolve))
        await sleep(5 * i)
        await worker.terminate()
      }
      console.log('threads left', numThreads() < 30)
    `)
    expect({ code, signal, output }).toEqual({
      code: 0,
      signal: null,
      output: 'threads left true\n',
    })
  })

  it('with the process', async () => {
    const ending = await run(`
      ${inWorker(`
        const m = await loadSlow()
        m.forward(slowBatch())
        parentPort.postMessage('running')
      `)}
      const running = new Promise(resolve => worker.once('message', resolve))
      const m = await loadSlow()
      m.forward(slowBatch())
      await running
      process.exit(7)
    `)
    expect(ending).toMatchObject({ code: 7, signal: null })
  })
})

describe('a model that nobody holds', () => {
  it('finishes its calls, then gives back its threads', async () => {
    const { code, output } = await run(
      `
      const before = numThreads()
      await (async () => {
        await (await loadSlow()).forward(slowBatch())
        await loadTiny()
      })()
      let left = 1
      for (let i = 0; i < 50 && left > 0; i++) {
        await sleep(20)
        gc()
        left = numThreads() - before
      }
      console.log('left', left <= 0)
    `,
      '--expose-gc',
    )
    expect({ code, output }).toEqual({ code: 0, output: 'left true\n' })
  })
})

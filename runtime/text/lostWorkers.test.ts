import { cp, mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { threads } from '../../test/support/scarceThreads.ts'
import { TextService } from './textService.ts'

vi.mock('node:worker_threads', async original =>
  (await import('../../test/support/scarceThreads.ts')).scarceThreads(original),
)

const llama = join(import.meta.dirname, '../../test/goldens/llama')
const long = 'a '.repeat(150_000)
const plain = { addSpecialTokens: false }

let dir: string
let model: string
let service: TextService
let isLost: boolean
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'mistralrs-text-'))
  model = join(dir, 'model')
  await cp(llama, model, { recursive: true })
  service = await TextService.load({ source: { kind: 'folder', dir: model } })
  isLost = false
  service.lost.then(() => {
    isLost = true
  })
})
afterEach(async () => {
  threads.areLeft = true
  await service.close()
  await rm(dir, { recursive: true })
})

/** Ends the thread that was spoken to last. */
async function killWorker(
  speak: () => Promise<unknown>[],
): Promise<PromiseSettledResult<unknown>[]> {
  // It never hears of it, so it cannot have answered before it ends.
  const posted = vi.spyOn(Worker.prototype, 'postMessage').mockImplementation(() => {})
  const calls = speak()
  const worker = posted.mock.contexts.at(-1)
  posted.mockRestore()
  if (worker instanceof Worker) await worker.terminate()
  return Promise.allSettled(calls)
}

const twoCalls = (text: string) => () => [
  service.encode(`one ${text}`, plain),
  service.encode(`two ${text}`, plain),
]
const underWay = { reason: expect.objectContaining({ message: expect.stringContaining('ended') }) }
const unavailable = { kind: 'unavailable', message: expect.stringContaining('could not restart') }

describe('when a text worker ends', () => {
  test.each([
    ['short', ''],
    ['long', long],
  ])('only the %s text it was at fails', async (_, text) => {
    const expected = await service.encode(`two ${text}`, plain)
    const [first, second] = await killWorker(twoCalls(text))
    expect(first).toMatchObject(underWay)
    expect(second).toEqual({ status: 'fulfilled', value: expected })
    expect(await service.encode(`two ${text}`, plain)).toEqual(expected)
    expect(isLost).toBe(false)
  })

  test.each([
    ['its files are gone', () => rename(model, join(dir, 'gone')), 'no such file'],
    [
      'there are no threads',
      async () => {
        threads.areLeft = false
      },
      'EAGAIN',
    ],
  ])('and cannot restart since %s, all that waits for it is refused', async (_, take, why) => {
    await take()
    const [first, second] = await killWorker(twoCalls(''))
    expect(first).toMatchObject(underWay)
    expect(second).toMatchObject({ reason: unavailable })
    await expect(service.encode('later', plain)).rejects.toMatchObject(unavailable)
    expect((await service.lost).message).toContain(why)
  })

  test.each([
    ['its files are gone', () => rename(model, join(dir, 'gone'))],
    [
      'there are no threads',
      async () => {
        threads.areLeft = false
      },
    ],
  ])('the one for short texts takes long ones where %s', async (_, take) => {
    const expected = await service.encode(`two ${long}`, plain)
    await take()
    const [first, second] = await killWorker(twoCalls(long))
    expect(first).toMatchObject(underWay)
    expect(second).toEqual({ status: 'fulfilled', value: expected })
    expect(await service.encode(`two ${long}`, plain)).toEqual(expected)
    expect(isLost).toBe(false)
  })

  test('because it is closed, nothing is lost', async () => {
    await service.close()
    expect(isLost).toBe(false)
  })
})

import { expect, test, vi } from 'vitest'
import { AnswerBody } from './answerBody.ts'

const turn = () => new Promise(setImmediate)
const bytes = (text: string) => new TextEncoder().encode(text)

function start() {
  const exchange = { pause: vi.fn(), resume: vi.fn(), abort: vi.fn() }
  const body = new AnswerBody(exchange as never)
  const read = async () => new TextDecoder().decode((await body.read()).value)
  return { exchange, body, read }
}

test('what arrives in one turn is read in one piece', async () => {
  const { body, read } = start()
  const first = read()
  for (const part of ['a', 'b']) body.push(bytes(part))
  expect(await first).toBe('ab')
  body.push(bytes('c'))
  await turn()
  body.push(bytes('d'))
  expect(await read()).toBe('cd')
  body.end()
  expect((await body.read()).done).toBe(true)
})

test('an answer nobody reads is held up, and goes on when it is read', async () => {
  const { exchange, body, read } = start()
  body.push(new Uint8Array(16 * 1024 - 1))
  await turn()
  expect(exchange.pause).not.toHaveBeenCalled()
  body.push(bytes('x'))
  expect(exchange.pause).toHaveBeenCalledOnce()
  await turn()
  expect(exchange.resume).not.toHaveBeenCalled()
  expect((await read()).length).toBe(16 * 1024)
  expect(exchange.resume).toHaveBeenCalledOnce()
})

test('unread bytes do not keep the buffer they came in', async () => {
  const { body } = start()
  const buffer = new Uint8Array(64 * 1024)
  body.push(buffer.subarray(0, 10))
  await turn()
  expect((await body.read()).value?.buffer.byteLength).toBe(10)
})

test('a failure comes after what had arrived; a reader that leaves ends the exchange', async () => {
  const { body, read } = start()
  body.push(bytes('a'))
  body.fail(new Error('lost'))
  expect(await read()).toBe('a')
  await expect(body.read()).rejects.toThrow('lost')
  const other = start()
  await other.body.cancel()
  expect(other.exchange.abort).toHaveBeenCalledOnce()
})

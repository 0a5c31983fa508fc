import { cp, mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { FileFormatError } from '../weights/fileFormatError.ts'
import { ChatTemplateError } from './chat/chatTemplateError.ts'
import { TextService } from './textService.ts'
import { WorkerCalls } from './workerCalls.ts'

const goldens = join(import.meta.dirname, '../../test/goldens')
const llama = { kind: 'folder', dir: join(goldens, 'llama') } as const

/** A template that does not come to an end. */
const endless = "{% for i in range(99999) %}{{ ('a' * 9999999)|upper|length }}{% endfor %}"

let service: TextService
beforeAll(async () => {
  service = await TextService.load({ source: llama })
})
afterAll(() => service.close())

/** A service of a template without an end, whose model may be taken away. */
async function loadCopy() {
  const dir = await mkdtemp(join(tmpdir(), 'mistralrs-text-'))
  const model = join(dir, 'model')
  await cp(llama.dir, model, { recursive: true })
  const source = { kind: 'folder', dir: model } as const
  return { dir, model, copy: await TextService.load({ source, chatTemplateOverride: endless }) }
}

describe('TextService', () => {
  test('tokenizes, decodes and renders on its thread', async () => {
    const ids = await service.encode('Hello, world!', { addSpecialTokens: true })
    expect(ids).toBeInstanceOf(Int32Array)
    expect(ids[0]).toBe(service.bosId)
    expect(await service.decode(ids, { skipSpecialTokens: true })).toBe('Hello, world!')
    const chat = { kind: 'chat' as const, messages: [{ role: 'user', content: 'Hi' }] }
    const text = await service.render(chat)
    expect(text).toContain('Hi<|eot_id|>')
    const prompt = await service.promptTokens(chat)
    expect([...prompt]).toEqual([...(await service.encode(text, { addSpecialTokens: false }))])
    expect([...(await service.promptTokens({ kind: 'text', text: 'Hi' }))][0]).toBe(service.bosId)
    expect(await service.tokenIds(['<|eot_id|>', 'no such token'])).toEqual([
      service.eosId,
      undefined,
    ])
  })

  test('keeps what generating needs on this thread', async () => {
    const ids = await service.encode('naïve 🙂', { addSpecialTokens: false })
    const detokenizer = service.createDetokenizer({ skipSpecialTokens: true })
    const text = [...ids].map(id => detokenizer.push(id)).join('') + detokenizer.flush()
    expect(text).toBe('naïve 🙂')
    expect(service.vocabSize).toBe(600)
    expect(service.isSpecial(service.eosId ?? -1)).toBe(true)
    expect(Buffer.concat([...ids].map(id => service.tokenBytes(id))).toString()).toBe('naïve 🙂')
    expect(service.endIds).toContain(service.eosId)
    expect(service.templates).toEqual([expect.stringContaining('<|eot_id|>')])
  })

  test.each([
    ['short', 1],
    ['long', 200_000],
  ])('aborting a %s text that waits rejects at once, and no worker hears of it', async (_, n) => {
    const text = 'a '.repeat(n)
    const posted = vi.spyOn(Worker.prototype, 'postMessage')
    const encode = (from: string, signal?: AbortSignal) =>
      service.encode(from + text, { addSpecialTokens: false }, signal)
    try {
      const controller = new AbortController()
      const first = encode('first')
      const aborted = encode('aborted', controller.signal)
      const after = encode('after')
      controller.abort(new Error('gone'))
      await expect(aborted).rejects.toThrow('gone')
      await expect(encode('late', AbortSignal.abort(new Error('before')))).rejects.toThrow('before')
      expect((await first).length).toBeGreaterThan(n)
      expect((await after).length).toBeGreaterThan(n)
      const requests = posted.mock.calls.map(([{ request }]) => request)
      const begun = requests.filter(({ op }) => op === 'encode').map(r => r.text.slice(0, 5))
      expect(begun).toEqual(['first', 'after'])
    } finally {
      posted.mockRestore()
    }
  })

  test('nothing short waits for a prompt that is long', async () => {
    const text = '{{ messages[0].content }}'
    const uneven = await TextService.load({
      source: llama,
      chatTemplateOverride: `{% if messages[0].content|length > 300000 %}${endless}{% endif %}${text}`,
    })
    const chat = (content: string) => ({
      kind: 'chat' as const,
      messages: [{ role: 'user', content }],
    })
    const settled: string[] = []
    const long = [1, 2].map(n =>
      uneven.promptTokens(chat('long '.repeat(80_000))).catch(() => settled.push(`long ${n}`)),
    )
    for (let n = 0; n < 20; n++) {
      expect(await uneven.render(chat(`short ${n}`))).toBe(`short ${n}`)
    }
    expect(settled).toEqual([])
    await uneven.close()
    await Promise.all(long)
    expect(settled).toHaveLength(2)
  })

  test('a prompt that is not very long does not wait for a second worker, the next one uses it', async () => {
    const fresh = await TextService.load({ source: llama })
    const call = vi.spyOn(WorkerCalls.prototype, 'call')
    try {
      const options = { addSpecialTokens: false }
      const text = 'a '.repeat(50_000)
      const first = await fresh.encode(text, options)
      const [load, encode] = call.mock.contexts
      expect(call.mock.calls.map(([{ op }]) => op)).toEqual(['load', 'encode'])
      expect(encode).not.toBe(load)
      await call.mock.results[0]?.value
      expect(await fresh.encode(text, options)).toEqual(first)
      expect(call.mock.contexts.at(-1)).toBe(load)
    } finally {
      call.mockRestore()
      await fresh.close()
    }
  })

  test('the worker for long prompts ends when it has been idle, and comes back', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const close = vi.spyOn(WorkerCalls.prototype, 'close')
    try {
      const long = 'a '.repeat(150_000)
      const whole = await service.encode(long, { addSpecialTokens: false })
      expect(whole.length).toBeGreaterThan(150_000)
      vi.advanceTimersByTime(299_000)
      expect(await service.encode(long, { addSpecialTokens: false })).toEqual(whole)
      vi.advanceTimersByTime(299_000)
      expect(close).not.toHaveBeenCalled()
      vi.advanceTimersByTime(1001)
      expect(close).toHaveBeenCalledTimes(1)
      expect(await service.encode(long, { addSpecialTokens: false })).toEqual(whole)
    } finally {
      close.mockRestore()
      vi.useRealTimers()
    }
  })

  test('where no second worker can start, the first takes long prompts too, each time', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'mistralrs-text-'))
    await cp(llama.dir, dir, { recursive: true })
    const copy = await TextService.load({ source: { kind: 'folder', dir } })
    await rm(dir, { recursive: true })
    const call = vi.spyOn(WorkerCalls.prototype, 'call')
    for (let attempt = 0; attempt < 2; attempt++) {
      call.mockClear()
      const ids = await copy.encode('a '.repeat(150_000), { addSpecialTokens: false })
      expect(ids.length).toBeGreaterThan(150_000)
      expect(call.mock.calls.map(([{ op }]) => op)).toEqual(['load', 'encode', 'encode'])
    }
    call.mockRestore()
    await copy.close()
  })

  test('where the second worker could not restart, the next long prompt gets another', async () => {
    const { copy, dir, model } = await loadCopy()
    const text = 'a '.repeat(150_000)
    const encode = () => copy.encode(text, { addSpecialTokens: false })
    const call = vi.spyOn(WorkerCalls.prototype, 'call')
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      const ids = await encode()
      const lost = call.mock.contexts[0]
      await rename(model, join(dir, 'gone'))
      const hopeless = copy.render({ kind: 'chat', messages: [{ role: 'user', content: text }] })
      const outcome = expect(hopeless).rejects.toThrow('did not come to an end')
      vi.advanceTimersByTime(20_000)
      await outcome
      expect(await encode()).toEqual(ids)
      await rename(join(dir, 'gone'), model)
      call.mockClear()
      expect(await encode()).toEqual(ids)
      expect(call.mock.calls.map(([{ op }]) => op)).toEqual(['load', 'encode'])
      expect(call.mock.contexts).not.toContain(lost)
    } finally {
      vi.useRealTimers()
      call.mockRestore()
      await copy.close()
      await rm(dir, { recursive: true })
    }
  })

  test('a call that had to leave a second worker does not keep the next one from ending', async () => {
    const { copy, dir, model } = await loadCopy()
    const encode = () => copy.encode('a '.repeat(150_000), { addSpecialTokens: false })
    const call = vi.spyOn(WorkerCalls.prototype, 'call')
    const close = vi.spyOn(WorkerCalls.prototype, 'close')
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      const busy = copy.render({ kind: 'chat', messages: [] }).catch(error => error.message)
      await rename(model, join(dir, 'gone'))
      const waits = encode()
      expect(call.mock.calls.map(([{ op }]) => op)).toEqual(['render', 'load', 'encode'])
      await expect(call.mock.results[1]?.value).rejects.toThrow('no such file')
      await rename(join(dir, 'gone'), model)
      const ids = await encode()
      const second = call.mock.contexts.at(-1)
      vi.advanceTimersByTime(10_001)
      expect(await busy).toContain('did not come to an end')
      expect(await waits).toEqual(ids)
      vi.advanceTimersByTime(300_000)
      expect(close.mock.contexts).toEqual([second])
    } finally {
      vi.useRealTimers()
      call.mockRestore()
      close.mockRestore()
      await copy.close()
      await rm(dir, { recursive: true })
    }
  })

  test('text that a step waits for goes before what else waits', async () => {
    const order: string[] = []
    const noted = (name: string) => () => order.push(name)
    await Promise.all([
      ...['first', 'second', 'third'].map(name =>
        service.encode(name, { addSpecialTokens: false }).then(noted(name)),
      ),
      service.encodeNext('next').then(noted('next')),
    ])
    expect(order).toEqual(['first', 'next', 'second', 'third'])
  })

  test('errors keep their class', async () => {
    const missing = await TextService.load({ source: { kind: 'folder', dir: '/nowhere' } }).catch(
      e => e,
    )
    expect(missing).toBeInstanceOf(FileFormatError)
    expect(missing.path).toBe('/nowhere/tokenizer.json')
    const refusing = await TextService.load({
      source: llama,
      chatTemplateOverride: "{{ raise_exception('only one turn') }}",
    })
    const chat = { kind: 'chat' as const, messages: [] }
    const refusal = await refusing.promptTokens(chat).catch(e => e)
    expect(refusal).toBeInstanceOf(ChatTemplateError)
    expect(refusal.message).toBe('only one turn')
    await refusing.close()
    const broken = await TextService.load({
      source: llama,
      chatTemplateOverride: '{% if %}',
    }).catch(e => e)
    expect(broken).toBeInstanceOf(FileFormatError)
    expect(broken.message).toMatch(/^--chat-template: .*Expected an expression/)
  })

  test('a template without an end ends after ten seconds, and alone', async () => {
    const hostile = await TextService.load({ source: llama, chatTemplateOverride: endless })
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      const endless = hostile.render({ kind: 'chat', messages: [] }).catch(e => e)
      const behindIt = hostile.encode('a', { addSpecialTokens: false })
      vi.advanceTimersByTime(10_001)
      const error = await endless
      expect(error).toBeInstanceOf(FileFormatError)
      expect(error.message).toBe(
        `${llama.dir}: its tokenizer or chat template did not come to an end in 10 s`,
      )
      // A new worker goes on with what waited, and with what comes.
      const expected = await service.encode('a', { addSpecialTokens: false })
      expect(await behindIt).toEqual(expected)
      expect(await hostile.encode('a', { addSpecialTokens: false })).toEqual(expected)
    } finally {
      vi.useRealTimers()
      await hostile.close()
    }
  })

  test('a closed service rejects instead of hanging', async () => {
    const closed = await TextService.load({ source: llama })
    const pending = closed.encode('a '.repeat(100_000), { addSpecialTokens: false })
    const unloaded = { kind: 'unavailable', message: 'The model was unloaded.' }
    const outcome = expect(pending).rejects.toMatchObject(unloaded)
    await closed.close()
    await outcome
    const chat = { kind: 'chat' as const, messages: [] }
    await expect(closed.render(chat)).rejects.toMatchObject(unloaded)
  })

  test('loads GGUF files', async () => {
    const path = join(goldens, 'gguf-q4_k_s/model.gguf')
    const gguf = await TextService.load({ source: { kind: 'gguf', path } })
    expect(gguf.vocabSize).toBe(640)
    expect(gguf.templates).toHaveLength(1)
    expect(
      await gguf.render({ kind: 'chat', messages: [{ role: 'user', content: 'Hi' }] }),
    ).toContain('<|im_start|>user\nHi<|im_end|>')
    await gguf.close()
  })
})

import { PassThrough, Writable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import {
  type Engine,
  EngineError,
  type EngineErrorData,
  type GenerateEvent,
  type GenerateJob,
} from '../../edge/engine.ts'
import { Chat, chatSampling } from './chat.ts'
import { answerOnce, converseByLine, converseOnTerminal } from './converse.ts'

interface FakeOptions {
  /** Think first. */
  reasoning?: string
  /** Refuse the job, or fail after its first piece. */
  refuse?: EngineErrorData
  fail?: EngineErrorData
  /** Never end: only the signal does. */
  endless?: boolean
}

/** Answers every job with two pieces of text and remembers it. */
function fakeEngine(options: FakeOptions = {}) {
  const jobs: GenerateJob[] = []
  async function* events(signal: AbortSignal): AsyncGenerator<GenerateEvent[]> {
    const { reasoning } = options
    if (reasoning) yield [{ v: 1, seq: 0, kind: 'reasoning', index: 0, text: reasoning }]
    yield [{ v: 1, seq: 0, kind: 'text', index: 0, text: `answer ` }]
    if (options.fail) yield [{ v: 1, seq: 1, kind: 'error', error: options.fail }]
    if (options.endless) {
      if (!signal.aborted) await new Promise(resolve => signal.addEventListener('abort', resolve))
      return
    }
    yield [{ v: 1, seq: 1, kind: 'text', index: 0, text: String(jobs.length) }]
    const counts = { promptTokens: 10, cachedTokens: 4, completionTokens: 3, reasoningTokens: 0 }
    yield [{ v: 1, seq: 2, kind: 'usage', ...counts, promptMs: 20, completionMs: 10 }]
  }
  const engine = {
    async submit(job: GenerateJob, signal: AbortSignal) {
      signal.throwIfAborted()
      if (options.refuse) throw new EngineError(options.refuse)
      jobs.push(job)
      return { events: events(signal) }
    },
  }
  return { engine: engine as unknown as Engine, jobs }
}

const never = new AbortController().signal
const messagesOf = (job: GenerateJob | undefined) =>
  job?.prompt.kind === 'chat'
    ? job.prompt.messages.map(({ role, content }) => `${role}: ${content}`)
    : []

describe('a conversation', () => {
  test('grows, has a system message and can be forgotten', async () => {
    const { engine, jobs } = fakeEngine()
    const chat = new Chat(engine, { sampling: {} })
    await chat.say('one', never)
    expect(chat.command('/system Be brief.  Please.')).toBe('System message set.')
    await chat.say('two', never)
    expect(chat.command('/clear')).toBe('Conversation cleared.')
    await chat.say('three', never)
    expect(chat.command('/system')).toBe('System message removed.')
    chat.command('/clear')
    await chat.say('four', never)
    expect(jobs.map(messagesOf)).toEqual([
      ['user: one'],
      ['system: Be brief.  Please.', 'user: one', 'assistant: answer 1', 'user: two'],
      ['system: Be brief.  Please.', 'user: three'],
      ['user: four'],
    ])
  })

  test('keeps an answer that was stopped, not one that never began', async () => {
    const { engine, jobs } = fakeEngine({ endless: true })
    const chat = new Chat(engine, { sampling: {} })
    const abort = new AbortController()
    const { usage, text } = await chat.say('one', abort.signal, { onText: () => abort.abort() })
    expect([usage, text]).toEqual([undefined, 'answer '])
    await chat.say('two', AbortSignal.abort())
    const again = new AbortController()
    await chat.say('three', again.signal, { onText: () => again.abort() })
    expect(messagesOf(jobs[1])).toEqual(['user: one', 'assistant: answer ', 'user: three'])
  })

  test.each<FakeOptions>([
    { refuse: { kind: 'context_length', message: 'too long' } },
    { fail: { kind: 'internal', message: 'too long' } },
  ])('is as it was after an error: %o', async options => {
    const { engine, jobs } = fakeEngine(options)
    const chat = new Chat(engine, { sampling: {} })
    await expect(chat.say('one', never)).rejects.toThrow('too long')
    delete options.refuse
    delete options.fail
    await chat.say('two', never)
    expect(messagesOf(jobs.at(-1))).toEqual(['user: two'])
  })

  test('asks the template for reasoning, or for none, only when told', async () => {
    for (const thinking of [undefined, true, false]) {
      const { engine, jobs } = fakeEngine()
      await new Chat(engine, { sampling: {}, ...(thinking !== undefined && { thinking }) }).say(
        'one',
        never,
      )
      const [{ prompt } = { prompt: undefined }] = jobs
      expect(prompt).toHaveProperty('kind', 'chat')
      const expected = thinking === undefined ? undefined : { enable_thinking: thinking }
      expect((prompt as { templateOptions?: unknown }).templateOptions).toEqual(expected)
    }
  })
})

describe('settings', () => {
  test.each([
    ['/temperature 0', 'temperature is 0.', { temperature: 0 }],
    ['/temperature 1.5', 'temperature is 1.5.', { temperature: 1.5 }],
    ['/temperature 2.1', '/temperature takes a number: 0 to 2.', {}],
    ['/temperature', '/temperature takes a number: 0 to 2.', {}],
    ['/temperature hot', '/temperature takes a number: 0 to 2.', {}],
    ['/topk 5', 'topk is 5.', { topK: 5 }],
    ['/topk 0', '/topk takes a number: an integer, at least 1.', {}],
    ['/topk 1.5', '/topk takes a number: an integer, at least 1.', {}],
    ['/topp 1', 'topp is 1.', { topP: 1 }],
    ['/topp 0', '/topp takes a number: above 0, up to 1.', {}],
  ])('%s', async (line, reply, sampling) => {
    const { engine, jobs } = fakeEngine()
    const chat = new Chat(engine, { sampling: { seed: 3 } })
    expect(chat.command(line)).toBe(reply)
    await chat.say('one', never)
    expect(jobs[0]?.sampling).toEqual({ seed: 3, ...sampling })
  })

  test('unknown commands show the known ones', () => {
    const chat = new Chat(fakeEngine().engine, { sampling: {} })
    expect(chat.command('/nonsense x')).toMatch(
      /^Unknown command \/nonsense\.\n[\s\S]*\/temperature/,
    )
    expect(chat.command('/help')).toContain('/system')
  })

  test.each([
    ['nothing', {}, { temperature: 0.8, topK: 40, topP: 0.95, minP: 0.05 }],
    ['some of them', { temperature: 0.2, topP: 0.9 }, { topK: 40, minP: 0.05 }],
    ['greedy decoding', { doSample: false }, {}],
  ])('begin with what the model leaves open: it says %s', (_name, model, expected) => {
    expect(chatSampling({ eosTokenIds: [], ...model }, undefined)).toEqual(expected)
    expect(chatSampling({ eosTokenIds: [], ...model }, 7)).toEqual({ seed: 7, ...expected })
  })
})

function streams() {
  const shown = { output: '', errors: '' }
  const sink = (name: keyof typeof shown) =>
    new Writable({
      write(chunk, _encoding, done) {
        shown[name] += chunk
        done()
      },
    })
  const input = new PassThrough()
  return { input, output: sink('output'), errors: sink('errors'), shown }
}

describe('line by line', () => {
  test('each line is a message or a command, answers alone go to the output', async () => {
    const { shown, ...io } = streams()
    const chat = new Chat(fakeEngine().engine, { sampling: {} })
    io.input.end('one\n\n/topk 3\ntwo\n/exit\nthree\n')
    expect(await converseByLine(chat, io, never)).toBe(0)
    expect(shown.output).toBe('answer 1\nanswer 2\n')
    expect(shown.errors).toBe('topk is 3.\n')
  })

  test('ends with the input, also without a last newline', async () => {
    const { shown, ...io } = streams()
    const chat = new Chat(fakeEngine().engine, { sampling: {} })
    io.input.end('one\ntwo')
    expect(await converseByLine(chat, io, never)).toBe(0)
    expect(shown.output).toBe('answer 1\nanswer 2\n')
  })

  test('goes on after an error and reports it at the end', async () => {
    const { shown, ...io } = streams()
    const engine = fakeEngine({ refuse: { kind: 'invalid', message: 'refused' } }).engine
    io.input.end('one\ntwo\n')
    const chat = new Chat(engine, { sampling: {} })
    expect(await converseByLine(chat, io, never)).toBe(1)
    expect(shown.errors).toBe('Error: refused\nError: refused\n')
  })

  test('stops at a signal, in an answer and while waiting', async () => {
    for (const lines of ['one\ntwo\n', '']) {
      const io = streams()
      const abort = new AbortController()
      const chat = new Chat(fakeEngine({ endless: true }).engine, { sampling: {} })
      io.input.write(lines)
      setTimeout(() => abort.abort(), 20)
      expect(await converseByLine(chat, io, abort.signal)).toBe(130)
    }
  })
})

test('one answer', async () => {
  const { shown, ...io } = streams()
  const chat = new Chat(fakeEngine().engine, { sampling: {} })
  expect(await answerOnce(chat, 'one', io, never)).toBe(0)
  expect(shown.output).toBe('answer 1\n')
  const thinking = new Chat(fakeEngine({ reasoning: 'hm' }).engine, { sampling: {} })
  expect(await answerOnce(thinking, 'one', io, never)).toBe(0)
  expect(shown.output).toBe('answer 1\nanswer 1\n')
  expect(await answerOnce(chat, 'two', io, AbortSignal.abort())).toBe(130)
})

describe('on a terminal', () => {
  const ctrlC = '\x03'
  async function converse(engine: Engine, keys: string[]): Promise<string> {
    const { shown, ...io } = streams()
    const chat = new Chat(engine, { sampling: {} })
    const done = converseOnTerminal(chat, io, 'a notice')
    for (const key of keys) {
      await new Promise(resolve => setTimeout(resolve, 10))
      io.input.write(key)
    }
    expect(await done).toBe(0)
    return shown.output
  }

  test('shows the notice, the commands, answers and their speed', async () => {
    const shown = await converse(fakeEngine().engine, ['one\n', '/topk 3\n', '/exit\n'])
    expect(shown).toMatch(/^a notice\nType a message/)
    expect(shown).toContain('answer 1\n(prompt 10 tokens (4 cached) · first token 0.02 s · ')
    expect(shown).toContain('300.0 tok/s in, 200.0 tok/s out)')
    expect(shown).toContain('topk is 3.')
  })

  test('shows reasoning dimmed and keeps it with the answer', async () => {
    const { engine, jobs } = fakeEngine({ reasoning: 'hm' })
    const shown = await converse(engine, ['one\n', 'two\n', '/exit\n'])
    expect(shown).toContain('\x1b[2mhm\x1b[22m\n\nanswer 1')
    const [, prompt] = jobs.map(job => (job.prompt.kind === 'chat' ? job.prompt.messages : []))
    expect(prompt?.[1]).toEqual({ role: 'assistant', content: 'answer 1', reasoning: 'hm' })
  })

  test('Ctrl-C stops an answer, clears a line, and leaves at an empty one', async () => {
    const { engine, jobs } = fakeEngine({ endless: true })
    const shown = await converse(engine, ['one\n', ctrlC, 'half a line', ctrlC, ctrlC])
    expect(shown).toContain('answer \n(stopped)\n')
    expect(jobs).toHaveLength(1)
  })

  test('ends at Ctrl-D', async () => {
    await converse(fakeEngine().engine, ['\x04'])
  })

  test('shows errors and goes on', async () => {
    const { engine } = fakeEngine({ refuse: { kind: 'invalid', message: 'refused' } })
    expect(await converse(engine, ['one\n', 'two\n', '/exit\n'])).toMatch(
      /Error: refused[\s\S]*Error: refused/,
    )
  })
})

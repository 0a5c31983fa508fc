import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { ChatMessage, ChatPrompt, FunctionTool, GenerateJob } from '../../edge/engine.ts'
import { collectEvents, fakeEngine } from '../../test/support/fakeEngine.ts'
import type { ParserOverrides } from '../parse/detectFormat.ts'
import { TextService } from '../text/textService.ts'
import { outputReading } from './output/outputReading.ts'

/** A real tokenizer, a template that shows no tools, and a model that draws at random. */
async function engineWith(parsers: ParserOverrides) {
  const text = await TextService.load({
    source: { kind: 'folder', dir: join(import.meta.dirname, '../../test/goldens/llama') },
    chatTemplateOverride:
      '{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}',
  })
  try {
    const reading = await outputReading(text, parsers)
    const { vocabSize } = text
    const scheduler = { numPages: 4000 }
    return fakeEngine(text, { reading, maxModelLen: 3000, vocabSize, scheduler }).engine
  } catch (error) {
    await text.close()
    throw error
  }
}

const weather: FunctionTool = {
  type: 'function',
  function: {
    name: 'weather',
    parameters: {
      type: 'object',
      properties: { city: { type: 'string', pattern: '^[a-z]{3,5}$' } },
      required: ['city'],
      additionalProperties: false,
    },
    strict: true,
  },
}
const question: ChatMessage = { role: 'user', content: 'Weather?' }

const asking: ChatPrompt = { kind: 'chat', messages: [question], tools: [weather] }

function job(prompt: Partial<ChatPrompt>, seed = 1): GenerateJob {
  return {
    model: 'default',
    prompt: { ...asking, ...prompt },
    n: 1,
    sampling: { seed },
    stop: [],
  }
}

describe('tools for a model whose template shows none', () => {
  test('calls are read, and held to as in any format', async () => {
    const engine = await engineWith({})
    const toolChoice = { mode: 'required' as const }
    for (const seed of [1, 2, 3, 4]) {
      const prompt = { toolChoice, parallelToolCalls: false }
      const events = await collectEvents(engine, job(prompt, seed))
      const calls = events.filter(e => e.kind === 'tool_call_delta')
      expect(calls[0]?.name).toBe('weather')
      const { city } = JSON.parse(calls.map(call => call.arguments).join(''))
      expect(city).toMatch(/^[a-z]{3,5}$/)
      expect(events.find(e => e.kind === 'finish')?.reason).toBe('tool_calls')
      expect(events.filter(e => e.kind === 'text')).toEqual([])
    }
    await engine.dispose()
  })

  test('tokenize tells what a job is given', async () => {
    const engine = await engineWith({})
    const signal = new AbortController().signal
    const asked = { model: 'default', prompt: asking, rendered: true, countOnly: true }
    const { count, rendered } = await engine.tokenize(asked, signal)
    expect(rendered).toMatch(/^<system># Tools\n[\s\S]*<tools>\n.*"weather".*\n<\/tools>/)
    const abort = new AbortController()
    expect((await engine.submit(job({}), abort.signal)).promptTokens).toBe(count)
    abort.abort()
    await engine.dispose()
  })

  test('without a format for calls they are refused, and what names none is served', async () => {
    const engine = await engineWith({ toolCalls: 'none' })
    const signal = new AbortController().signal
    const refusal = { kind: 'unsupported', param: 'prompt.tools' }
    for (const mode of ['auto', 'required', 'none'] as const) {
      await expect(engine.submit(job({ toolChoice: { mode } }), signal)).rejects.toMatchObject(
        refusal,
      )
    }
    await expect(
      engine.tokenize({ model: 'default', prompt: asking }, signal),
    ).rejects.toMatchObject(refusal)
    const events = await collectEvents(engine, { ...job({ tools: [] }), maxTokens: 3 })
    expect(events.at(-1)?.kind).toBe('usage')
    await engine.dispose()
  })

  test('a format that prompts do not tell of is refused at the start', async () => {
    await expect(engineWith({ toolCalls: 'llama3' })).rejects.toThrow(
      '--tool-call-parser llama3 does not go with this chat template, which shows no tools; hermes or none does',
    )
  })
})

import { describe, expect, test } from 'vitest'
import type { ChatMessage, GenerateJob, TextPrompt } from '../../edge/engine.ts'
import { PromptEncoder } from './promptEncoder.ts'

const fim = { prefix: 101, suffix: 102, middle: 103 }
const BOS = 100
const { signal } = new AbortController()

/** One id for each character, behind BOS where a text begins. */
function encoder(options: { maxModelLen?: number; fim?: typeof fim }): PromptEncoder {
  const ids = (text: string) => [...text].map(character => character.charCodeAt(0))
  return new PromptEncoder(
    {
      promptTokens: async prompt =>
        prompt.kind === 'chat'
          ? Int32Array.from(prompt.messages.flatMap(({ content }) => ids(String(content))))
          : Int32Array.from([
              ...(prompt.addSpecialTokens === false ? [] : [BOS]),
              ...ids(prompt.text),
            ]),
      render: async () => '',
      tokenBytes: () => new Uint8Array(),
      bosId: BOS,
      fim: options.fim,
    },
    { vocabSize: 128, maxModelLen: options.maxModelLen ?? 100 },
    0,
  )
}

function job(prompt: GenerateJob['prompt'], more: Partial<GenerateJob> = {}): GenerateJob {
  return { model: 'm', prompt, n: 1, sampling: {}, stop: [], ...more }
}

const text = (prompts: TextPrompt['prompts'], suffix?: string): TextPrompt => ({
  kind: 'text',
  prompts,
  ...(suffix !== undefined && { suffix }),
})

describe('a suffix', () => {
  test('stands around the gap in the model own order, behind what begins a text', async () => {
    const [ids, ofIds] = await encoder({ fim }).encodeJob(job(text(['A', [66]], 'Z')), signal)
    expect([...(ids ?? [])]).toEqual([BOS, 101, 65, 102, 90, 103])
    expect([...(ofIds ?? [])]).toEqual([101, 66, 102, 90, 103])
  })

  test.each([
    // All of it takes 9 tokens and leaves one to be drawn.
    ['bc', 'YZ', 10, [BOS, 101, 98, 99, 102, 89, 90, 103]],
    ['abcdefgh', 'YZ', 9, [BOS, 101, 103, 104, 102, 89, 90, 103]],
    ['ab', 'UVWXYZ', 9, [101, 102, 85, 86, 87, 88, 89, 103]],
  ])(
    'a prompt %j and %j that is too long loses what is farthest from the gap',
    async (before, after, maxModelLen, expected) => {
      const asked = job(text([before], after), { truncatePrompt: true })
      const [ids] = await encoder({ fim, maxModelLen }).encodeJob(asked, signal)
      expect([...(ids ?? [])]).toEqual(expected)
    },
  )

  test('is refused by a model without such tokens', async () => {
    await expect(encoder({}).encodeJob(job(text(['A'], 'Z')), signal)).rejects.toMatchObject({
      kind: 'invalid',
      param: 'prompt.suffix',
    })
  })
})

describe('truncation', () => {
  const small = encoder({ maxModelLen: 10 })
  const messages: ChatMessage[] = [
    { role: 'user', content: 'aaaa' },
    { role: 'assistant', content: 'bbbb' },
    { role: 'user', content: 'cccc' },
  ]
  const numTokens = async (prompt: GenerateJob['prompt'], more: Partial<GenerateJob>) => {
    const asked = job(prompt, more)
    const prompts = await small.encodeJob(asked, signal)
    small.check(asked, prompts)
    return prompts.map(({ length }) => length)
  }

  test.each([
    [{ truncatePrompt: true }, 4],
    [{ truncatePrompt: true, maxTokens: 7 }, 3],
    // There is no making room for more than there is.
    [{ truncatePrompt: true, maxTokens: 1000 }, 4],
  ])('of a chat, %j', async (more, expected) => {
    expect(await numTokens({ kind: 'chat', messages }, more)).toEqual([expected])
  })

  test('only of what would be refused', async () => {
    const prompt = text(['x'.repeat(8)])
    expect(await numTokens(prompt, { truncatePrompt: true, maxTokens: 5 })).toEqual([9])
    expect(await numTokens(text(['x'.repeat(12)]), { truncatePrompt: true, maxTokens: 5 })).toEqual(
      [5],
    )
    await expect(numTokens(text(['x'.repeat(12)]), {})).rejects.toMatchObject({
      kind: 'context_length',
    })
  })
})

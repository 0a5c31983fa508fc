import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { GenerateJob } from '../../edge/engine.ts'
import { goldenFolders } from '../../test/conformance/goldenFolders.ts'
import { GgufBuilder } from '../../test/support/ggufBuilder.ts'
import { TextService } from '../text/textService.ts'
import type { TextSource } from '../text/textSource.ts'
import { PromptEncoder } from './promptEncoder.ts'

const bare = '{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}'
const withBos = `{{ bos_token }}${bare}`
const maxModelLen = 120
const { signal } = new AbortController()

function chatJob(content: string): GenerateJob {
  return {
    model: '',
    prompt: { kind: 'chat', messages: [{ role: 'user', content }] },
    n: 1,
    sampling: {},
    stop: [],
    truncatePrompt: true,
  }
}

/** Ids of a chat that fits and of one that is cut, and how often and where each has the BOS. */
async function encodeChats(source: TextSource, chatTemplateOverride: string | undefined) {
  const text = await TextService.load({
    source,
    ...(chatTemplateOverride && { chatTemplateOverride }),
  })
  try {
    const limits = { vocabSize: text.vocabSize, maxModelLen }
    const encoder = new PromptEncoder(text, limits, undefined)
    const [short, long] = ['word ', 'word '.repeat(300)].map(chatJob)
    if (short?.prompt.kind !== 'chat' || long === undefined) throw new Error('not chats')
    const [ids = new Int32Array()] = await encoder.encodeJob(short, signal)
    const [cut = new Int32Array()] = await encoder.encodeJob(long, signal)
    expect(cut).toHaveLength(maxModelLen - 1)
    const rendered = await text.render(short.prompt)
    const asWritten = await text.encode(rendered, { addSpecialTokens: false })
    const bosAt = [ids, cut].map(all => [...all.keys()].filter(i => all[i] === text.bosId))
    return { ids: [...ids], asWritten: [...asWritten], bosAt }
  } finally {
    await text.close()
  }
}

describe.each(goldenFolders('tokenizer.json'))('chats of $name', ({ dir }) => {
  test.each([
    ['its own template', undefined],
    ['a template without BOS', bare],
  ])('have what the template writes, whole or cut, with %s', async (_, template) => {
    const { ids, asWritten, bosAt } = await encodeChats({ kind: 'folder', dir }, template)
    expect(ids).toEqual(asWritten)
    const [, inCut] = bosAt
    expect(inCut).toEqual(bosAt[0])
  })
})

describe('chats of a GGUF file', () => {
  let dir: string
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'chat-start-'))
  })
  afterAll(() => rm(dir, { recursive: true }))

  test.each([
    [true, bare, [0]],
    [true, withBos, [0]],
    [false, bare, []],
    [false, withBos, [0]],
  ])('whose tokenizer adds BOS: %s, with the template %s', async (addsBos, template, expected) => {
    const path = join(dir, 'x.gguf')
    const letters = [...'abcdefghijklmnopqrstuvwxyz<>Ġ']
    await writeFile(
      path,
      new GgufBuilder()
        .string('tokenizer.ggml.model', 'gpt2')
        .string('tokenizer.ggml.pre', 'gpt-2')
        .strings('tokenizer.ggml.tokens', [...letters, '<s>', 'ab'])
        .int32s('tokenizer.ggml.token_type', [...letters.map(() => 1), 3, 1])
        .strings('tokenizer.ggml.merges', ['a b'])
        .uint32('tokenizer.ggml.bos_token_id', letters.length)
        .bool('tokenizer.ggml.add_bos_token', addsBos)
        .string('tokenizer.chat_template', template)
        .build(),
    )
    const { bosAt } = await encodeChats({ kind: 'gguf', path }, undefined)
    expect(bosAt).toEqual([expected, expected])
  })
})

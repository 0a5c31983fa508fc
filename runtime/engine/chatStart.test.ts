import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { GenerateJob } from '../../edge/engine.ts'
import { goldenFolders } from '../../test/conformance/goldenFolders.ts'
import { TextService } from '../text/textService.ts'
import type { TextSource } from '../text/textSource.ts'
import { PromptEncoder } from './promptEncoder.ts'

/** Renders no BOS, which the models' own templates do wherever their tokenizers put it before texts. */
const bare = '{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}'
const maxModelLen = 20
const { signal } = new AbortController()

describe.each(goldenFolders('tokenizer.json'))('chats of $name', ({ dir }) => {
  test.each([
    ['its own template', undefined],
    ['a template without BOS', bare],
  ])('begin as texts do, once, whole or cut, with %s', async (_, chatTemplateOverride) => {
    const gguf = join(dir, 'model.gguf')
    const source: TextSource = existsSync(gguf)
      ? { kind: 'gguf', path: gguf }
      : { kind: 'folder', dir }
    const text = await TextService.load({
      source,
      ...(chatTemplateOverride && { chatTemplateOverride }),
    })
    try {
      const limits = { vocabSize: text.vocabSize, maxModelLen }
      const encoder = new PromptEncoder(text, limits, undefined)
      const [plainStart] = await text.encode('a', { addSpecialTokens: true })
      for (const [words, isCut] of [
        [1, false],
        [100, true],
      ] as const) {
        const content = 'word '.repeat(words)
        const job: GenerateJob = {
          model: '',
          prompt: { kind: 'chat', messages: [{ role: 'user', content }] },
          n: 1,
          sampling: {},
          stop: [],
          truncatePrompt: isCut,
        }
        const [ids = new Int32Array()] = await encoder.encodeJob(job, signal)
        if (isCut) expect(ids).toHaveLength(maxModelLen - 1)
        const bosAt = [...ids.keys()].filter(i => ids[i] === text.bosId)
        expect(bosAt).toEqual(text.bosId !== undefined && plainStart === text.bosId ? [0] : [])
      }
    } finally {
      await text.close()
    }
  })
})

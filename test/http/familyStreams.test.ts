import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createApp } from '../../edge/app.ts'
import type { JsonObject } from '../../edge/engine.ts'
import { DetachedJobs } from '../../runtime/engine/detachedJobs.ts'
import { ModelRegistry } from '../../runtime/engine/modelRegistry.ts'
import { outputCases } from '../support/outputCases.ts'
import { weatherTools } from '../support/parseOutput.ts'
import { sayingEngine } from '../support/sayingEngine.ts'

/**
 * The first recorded output of each family, and the exact bytes that each protocol makes of it. After a change that is meant:
 * `vitest run test/http/familyStreams.test.ts -u`, and read the difference.
 */
const families = Object.entries(outputCases).filter(
  ([, { format }]) => format.calls !== undefined && format.tools === undefined,
)

const tools = [...weatherTools].map(([name, parameters]) => ({ name, parameters }))
const functions = tools.map(tool => ({ type: 'function', function: tool }))
const messages = [{ role: 'user', content: 'Weather?' }]
const requests: [string, JsonObject][] = [
  ['/v1/chat/completions', { messages, tools: functions, stream: true }],
  ['/v1/chat/completions', { messages, tools: functions }],
  [
    '/v1/messages',
    {
      messages,
      max_tokens: 500,
      tools: tools.map(({ name, parameters }) => ({
        name,
        input_schema: { type: 'object', ...parameters },
      })),
      stream: true,
    },
  ],
  [
    '/v1/responses',
    {
      input: 'Weather?',
      // Outputs as models write them are not all of their schema.
      tools: tools.map(tool => ({ type: 'function', ...tool, strict: false })),
      stream: true,
      store: false,
    },
  ],
]

test.each(families)('%s', async (family, { format, outputs }) => {
  const [first] = outputs
  if (first === undefined) throw new Error('no output')
  const promptTail = first.promptTail ?? format.promptTail ?? ''
  let recorded = `${JSON.stringify(first.output)}\n`
  for (const [path, body] of requests) {
    const registry = new ModelRegistry()
    await registry.add({ id: 'fake' }, () =>
      sayingEngine({
        output: first.output,
        parsers: { reasoning: format.reasoning ?? 'none', toolCalls: format.calls ?? 'none' },
        promptTail,
      }),
    )
    let numIds = 0
    const app = createApp({
      engine: new DetachedJobs(registry),
      limits: { maxBodyBytes: 1e6 },
      cors: { origins: ['*'] },
      hosts: ['*'],
      clock: () => 1_700_000_000_000,
      newId: () => String(++numIds).padStart(24, '0'),
      keepAliveMs: 1e6,
      strictOpenai: false,
    })
    const response = await app.request(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'default', ...body }),
    })
    const kind = body.stream ? 'stream' : 'body'
    recorded += `\nPOST ${path}: ${response.status} ${kind}\n${stable(await response.text())}`
    await registry.unload('fake')
  }
  const file = join(import.meta.dirname, '../goldens/streams', `${family.replace(' ', '-')}.txt`)
  await expect(recorded).toMatchFileSnapshot(file)
})

/** Ids of calls are random and times are real. */
function stable(text: string): string {
  const ids: string[] = []
  return text
    .replace(/(call_|toolu_)([0-9a-f]{24})/g, (_, prefix, id) => {
      if (!ids.includes(id)) ids.push(id)
      return `${prefix}${ids.indexOf(id)}`
    })
    .replace(/("[a-z_]+_(?:sec|ms)":)[\d.e+-]+/g, '$10')
}

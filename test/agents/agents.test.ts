import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { goldens, type RunningServer, startServer } from '../cli/command.ts'
import { responseEvents } from '../http/responseEvents.ts'
import { sseData } from '../http/sseData.ts'
import { claudeHeaders, claudeRequests } from './claudeRequests.ts'
import { codexHeaders, codexRequests } from './codexRequests.ts'
import { systemPrompt } from './recording.ts'

const MAX_TOKENS = 8
/** Most of a prompt that may be computed again from the second turn on. */
const MAX_COMPUTED = 0.1

/** What a turn's prompt came to. */
interface TurnUsage {
  promptTokens: number
  cachedTokens: number
}

describe('coding agents in front of a tiny model', () => {
  let folder = ''
  let server: RunningServer
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mistralrs-agents-'))
    await cp(join(goldens, 'qwen3'), folder, { recursive: true })
    const file = join(folder, 'config.json')
    const config = JSON.parse(await readFile(file, 'utf8'))
    await writeFile(file, JSON.stringify({ ...config, max_position_embeddings: 32_768 }))
    server = await startServer(['-m', folder, '--served-model-name', 'tiny'])
  })
  afterAll(async () => {
    await server?.end('SIGKILL')
    await rm(folder, { recursive: true })
  })

  async function send(path: string, body: object, headers: Record<string, string>) {
    const init = { method: 'POST', headers, body: JSON.stringify(body) }
    const response = await fetch(`${server.origin}${path}`, init)
    const text = await response.text()
    expect([response.status, response.status === 200 ? '' : text]).toEqual([200, ''])
    return text
  }

  async function codexTurn(body: object): Promise<TurnUsage> {
    const { events } = responseEvents(await send('/v1/responses', body, codexHeaders))
    const last = events.at(-1)
    expect(last?.type).toMatch(/^response\.(completed|incomplete)$/)
    const { usage } = (last?.response ?? {}) as { usage: Record<string, unknown> }
    const { cached_tokens } = usage.input_tokens_details as { cached_tokens: number }
    return { promptTokens: Number(usage.input_tokens), cachedTokens: cached_tokens }
  }

  async function claudeTurn(body: object): Promise<TurnUsage> {
    const text = await send('/v1/messages?beta=true', body, claudeHeaders)
    const events = sseData(text).map(data => JSON.parse(data))
    expect(events.at(-1)).toEqual({ type: 'message_stop' })
    const usage = events.find(({ type }) => type === 'message_delta').usage
    const { input_tokens, cache_read_input_tokens } = usage
    expect(events[0].message.usage).toMatchObject({ input_tokens, cache_read_input_tokens })
    return {
      promptTokens: input_tokens + cache_read_input_tokens,
      cachedTokens: cache_read_input_tokens,
    }
  }

  test('the instructions are as long as those of agents', async () => {
    const text = await send('/v1/tokenize', { text: systemPrompt }, codexHeaders)
    expect(JSON.parse(text).count).toBeGreaterThan(15_000)
  })

  test.each([
    { agent: 'Codex', requests: codexRequests(MAX_TOKENS), turn: codexTurn },
    { agent: 'Claude Code', requests: claudeRequests(MAX_TOKENS), turn: claudeTurn },
  ])('$agent: ten turns, each computing little of its prompt', async ({ requests, turn }) => {
    const computed: number[] = []
    for (const request of requests) {
      const { promptTokens, cachedTokens } = await turn(request)
      expect(promptTokens).toBeGreaterThan(15_000)
      computed.push((promptTokens - cachedTokens) / promptTokens)
    }
    expect(computed).toHaveLength(10)
    expect(Math.max(...computed.slice(1))).toBeLessThan(MAX_COMPUTED)
  })

  test('Claude Code counts its prompt before it sends it, with room for a long answer, and breaks off', async () => {
    const [request = {}] = claudeRequests(32_000)
    const counted = await send('/v1/messages/count_tokens?beta=true', request, claudeHeaders)
    const body = JSON.stringify(request)
    const response = await fetch(`${server.origin}/v1/messages?beta=true`, {
      method: 'POST',
      headers: claudeHeaders,
      body,
    })
    const reader = response.body?.getReader()
    const start = new TextDecoder().decode((await reader?.read())?.value)
    await reader?.cancel()
    const { message } = JSON.parse(sseData(start)[0] ?? '')
    const { input_tokens, cache_read_input_tokens } = message.usage
    expect(JSON.parse(counted)).toEqual({ input_tokens: input_tokens + cache_read_input_tokens })
    await expect
      .poll(async () => (await fetch(`${server.origin}/ready`)).json())
      .toMatchObject({ running: 0 })
  })
})

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { JsonObject, JsonValue } from '../../edge/engine.ts'
import { sharedDir } from '../../test/conformance/goldenFolders.ts'
import { detectFormat } from './detectFormat.ts'
import { OutputParser } from './outputParser.ts'

/** Marks of templates, as short as they tell: a copy of what the real ones are tested for below. */
test.each([
  ['\'<tool_call>\\n{"name": "\' + tool_call.name', undefined, 'hermes'],
  ["content.split('</think>')[-1] … '<tool_call>\\n{\"name\": '", 'think', 'hermes'],
  ["'<tool_call>\\n<function=' + tool_call.name", undefined, 'qwen3-coder'],
  ['<tool_call>{function-name}\n<arg_key>{arg-key-1}</arg_key>', undefined, 'glm'],
  ['"<|python_tag|>" + tool_call.name', undefined, 'llama3'],
  ['<|start_header_id|>ipython … \'"parameters": \'', undefined, 'llama3'],
  ["'[TOOL_CALLS]' + tool_call.function.name … '[ARGS]'", undefined, 'mistral'],
  ["'[TOOL_CALLS]' … '[ARGS]' … '[THINK]'", 'mistral', 'mistral'],
  ['"[TOOL_CALLS]["', undefined, 'mistral-nemo'],
  ["'<|channel>thought\\n' … '<|tool_call>call:'", 'gemma4', 'gemma4'],
  ["'<think>' … '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>'", 'think', 'deepseek'],
  ["'<｜tool▁calls▁begin｜>' … '<｜tool▁sep｜>' … '```json'", undefined, 'deepseek-r1'],
  ['<|start|>assistant<|channel|>analysis<|message|>', 'harmony', 'harmony'],
  ["'<|tool|>' + message['tools'] + '<|/tool|>'", undefined, 'phi'],
  ["'<seed:think>'", 'seed', undefined],
  ["'<|im_start|>' + message.role", undefined, undefined],
])('%s', (template, reasoning, calls) => {
  const format = detectFormat([template])
  expect([format.reasoning?.name, format.calls?.name]).toEqual([reasoning, calls])
})

test('a name takes the place of what the template tells, and none switches off', () => {
  const template = '<think> <tool_call>'
  const format = detectFormat([template], { toolCalls: 'llama3', reasoning: 'none' })
  expect([format.reasoning, format.calls?.name]).toEqual([undefined, 'llama3'])
  expect(() => detectFormat([template], { toolCalls: 'x' })).toThrow(
    /--tool-call-parser x is not known; there are: .*hermes.*, none/,
  )
  expect(() => detectFormat([template], { reasoning: 'x' })).toThrow(/--reasoning-parser x .*seed/)
  expect(() => detectFormat([template], { reasoning: 'harmony' })).toThrow(/harmony frames/)
})

test('calls are read in the format that prompts tell of', () => {
  const formats = (template: string, described: string, overrides = {}) => {
    const { reasoning, calls } = detectFormat([template], overrides, described)
    return [reasoning?.name, calls?.name]
  }
  expect(formats('<think>', 'hermes')).toEqual(['think', 'hermes'])
  expect(formats('<think>', 'hermes', { toolCalls: 'none' })).toEqual(['think', undefined])
  expect(formats('<|channel|>analysis<|message|>', 'hermes')).toEqual(['harmony', undefined])
  expect(() => formats('', 'hermes', { toolCalls: 'llama3' })).toThrow(/hermes or none/)
})

const dir = join(sharedDir, 'conformance/templates')
const expectedFormats: Record<string, [string | undefined, string | undefined]> = {
  'GLM-4.6': ['think', 'glm'],
  'HuggingFaceTB-SmolLM3-3B': ['think', undefined],
  'Mistral-Small-3.2-24B-Instruct-2506': [undefined, 'mistral'],
  'NousResearch-Hermes-3-Llama-3.1-8B-tool_use': [undefined, 'hermes'],
  'Qwen-Qwen2.5-7B-Instruct': [undefined, 'hermes'],
  'Qwen-Qwen3-0.6B': ['think', 'hermes'],
  'Qwen3-Coder': [undefined, 'qwen3-coder'],
  'Qwen3.5-4B': ['think', 'qwen3-coder'],
  'deepseek-ai-DeepSeek-R1-Distill-Qwen-32B': ['think', 'deepseek-r1'],
  'deepseek-ai-DeepSeek-V3.1': ['think', 'deepseek'],
  'google-gemma-2-2b-it': [undefined, undefined],
  'google-gemma-4-31B-it': ['gemma4', 'gemma4'],
  'meta-llama-Llama-3.1-8B-Instruct': [undefined, 'llama3'],
  'meta-llama-Llama-3.2-3B-Instruct': [undefined, 'llama3'],
  'microsoft-Phi-3.5-mini-instruct': [undefined, undefined],
  'mistralai-Mistral-Nemo-Instruct-2407': [undefined, 'mistral-nemo'],
  'openai-gpt-oss-120b': ['harmony', 'harmony'],
}

interface TemplateCase {
  case: string
  messages: { role: string; tool_calls?: { function: { name: string; arguments: JsonValue } }[] }[]
  tools: { function: { name: string; parameters: JsonObject } }[] | null
  expected?: string
}

describe('real templates', () => {
  if (!existsSync(dir)) {
    test.skip(`skipped: ${dir} is not there`, () => {})
    return
  }
  const names = readdirSync(dir)
    .filter(file => file.endsWith('.jinja'))
    .map(file => file.slice(0, -'.jinja'.length))

  test('all are known', () => {
    expect(names).toEqual(Object.keys(expectedFormats))
  })

  test.each(names)('%s', name => {
    const format = detectFormat([readFileSync(join(dir, `${name}.jinja`), 'utf8')])
    expect([format.reasoning?.name, format.calls?.name]).toEqual(expectedFormats[name])
  })

  /** A template writes earlier calls as the model did: read from there, they have to be those of the messages. */
  test.each(names.filter(name => expectedFormats[name]?.[1] !== undefined))('calls of %s', name => {
    const format = detectFormat([readFileSync(join(dir, `${name}.jinja`), 'utf8')])
    const { cases }: { cases: TemplateCase[] } = JSON.parse(
      readFileSync(join(dir, `${name}.golden.json`), 'utf8'),
    )
    const isHarmony = format.calls?.name === 'harmony'
    let numCalls = 0
    for (const { messages, tools, expected } of cases) {
      // GPT-OSS makes one call a message, and its template writes the first.
      const most = isHarmony ? 1 : undefined
      const calls = messages.flatMap(message => message.tool_calls?.slice(0, most) ?? [])
      if (calls.length === 0 || expected === undefined) continue
      const declared = new Map((tools ?? []).map(t => [t.function.name, t.function.parameters]))
      for (const { function: call } of calls) {
        if (!declared.has(call.name)) declared.set(call.name, {})
      }
      const reasoning = isHarmony ? format.reasoning : undefined
      const parser = new OutputParser({ ...format, reasoning }, declared, '')
      const deltas = [...parser.push(expected), ...parser.flush()]
      const read: { name: string; arguments: string }[] = []
      for (const delta of deltas) {
        if (delta.kind === 'call_start') read.push({ name: delta.name, arguments: '' })
        const last = read.at(-1)
        if (delta.kind === 'call_arguments' && last) last.arguments += delta.text
      }
      expect(read.map(call => ({ ...call, arguments: JSON.parse(call.arguments) }))).toEqual(
        calls.map(call => call.function),
      )
      numCalls += read.length
    }
    expect(numCalls).toBeGreaterThan(0)
  })
})

import type { GenerateEvent, GenerateJob, ToolDefinition } from '../../edge/engine.ts'

// Jobs whose text a grammar leaves little choice about, and what must be the same with and without jumps over what it forces.

const record: ToolDefinition = {
  type: 'function',
  function: {
    name: 'record_temperature',
    parameters: {
      type: 'object',
      properties: {
        temperature_celsius: { type: 'integer', minimum: -9, maximum: 99 },
        measured_by_station: { enum: ['north ridge', 'north river'] },
      },
      required: ['temperature_celsius', 'measured_by_station'],
      additionalProperties: false,
    },
    strict: true,
  },
}
export const calls: Partial<GenerateJob> = {
  prompt: {
    kind: 'chat',
    messages: [{ role: 'user', content: 'hi' }],
    tools: [record],
    toolChoice: { mode: 'required' },
  },
}
export const regex: Partial<GenerateJob> = {
  grammar: { type: 'regex', pattern: '(The answer is: (yes|yesterday|no)[.] ){2}Goodbye[.]' },
}

export const job = (seed: number, change: Partial<GenerateJob>): GenerateJob => ({
  model: 'default',
  prompt: { kind: 'chat', messages: [{ role: 'user', content: `hello ${seed}` }] },
  n: 1,
  maxTokens: 200,
  sampling: { seed },
  stop: [],
  ...change,
})

/** What a reader keeps of the events: pieces of one kind joined, usage without times, call ids left out. */
export function kept(events: readonly GenerateEvent[], n: number) {
  return Array.from({ length: n }, (_, index) => {
    const own = events.filter(e => 'index' in e && e.index === index)
    const said = own.map(e =>
      e.kind === 'text' || e.kind === 'reasoning'
        ? e.text
        : e.kind === 'tool_call_delta'
          ? `${e.name ?? ''}${e.arguments}`
          : '',
    )
    return {
      said: said.join(''),
      logprobs: own.flatMap(e =>
        e.kind !== 'prompt_logprobs' && 'logprobs' in e ? (e.logprobs ?? []) : [],
      ),
      finish: own.flatMap(e => (e.kind === 'finish' ? [{ ...e, seq: 0 }] : [])),
      usage: events.flatMap(e =>
        e.kind === 'usage' ? [e.promptTokens, e.completionTokens, e.reasoningTokens] : [],
      ),
    }
  })
}

/** What is asked for, for each seed. */
export const jumpCases: [string, Partial<GenerateJob>][] = [
  ['a call', calls],
  ['a call with log-probabilities', { ...calls, logprobs: { top: 2 } }],
  ['a language', regex],
  ['a language with log-probabilities, three choices', { ...regex, n: 3, logprobs: { top: 1 } }],
  ['scored prompts', { ...regex, logprobs: { top: 1 }, promptLogprobs: true }],
  ['a stop string inside forced text', { ...regex, stop: ['answ'] }],
  ['every limit of tokens', { ...regex, maxTokens: 17 }],
  ['a limit of one token', { ...regex, maxTokens: 1 }],
  ['penalties', { ...regex, sampling: { seed: 3, frequencyPenalty: 1, repetitionPenalty: 1.2 } }],
  [
    'a closed block of reasoning',
    {
      prompt: { kind: 'chat', messages: [{ role: 'user', content: 'hi<think>\n' }] },
      maxReasoningTokens: 3,
      maxTokens: 40,
    },
  ],
  ...[4, 5, 6].map((maxTokens): [string, Partial<GenerateJob>] => [
    `a block that is cut at ${maxTokens} tokens, while it is closed`,
    {
      prompt: { kind: 'chat', messages: [{ role: 'user', content: 'hi<think>\n' }] },
      maxReasoningTokens: 3,
      maxTokens,
    },
  ]),
]

import { expect } from 'vitest'
import type { EngineError, GenerateEvent, GenerateJob, TokenLogprob } from '../../edge/engine.ts'
import type { EngineText } from '../../runtime/engine/engineText.ts'
import type { LocalEngine } from '../../runtime/engine/localEngine.ts'
import { slotOptions } from '../../runtime/engine/slotOptions.ts'
import { ChatTemplateError } from '../../runtime/text/chat/chatTemplateError.ts'
import { detokenize } from '../../runtime/text/tokenizer/detokenizer.ts'
import { TokenPiecesBuilder, tokenFlag } from '../../runtime/text/tokenizer/tokenPieces.ts'
import { fakeEngine, fakeGroups, fakeMaxModelLen, fakeText } from './fakeEngine.ts'
import { fakeVocabSize, generateAlone } from './fakeModel.ts'

/** A token of the tokenizer that the model has no row for. */
const unknownId = fakeVocabSize
export const neverAborted = new AbortController().signal

/** Token 0 ends the text, 1-37 are short words, 38 and 39 the halves of a two-byte character. */
export const pieces = (() => {
  const builder = new TokenPiecesBuilder(fakeVocabSize)
  builder.addText('</s>', tokenFlag.special)
  for (let id = 1; id < 38; id++) builder.addText(`${String.fromCharCode(96 + (id % 26))}${id} `, 0)
  builder.addBytes(Uint8Array.of(0xc3), 0)
  builder.addBytes(Uint8Array.of(0xa9), 0)
  return builder.build('keep')
})()

const text = fakeText(pieces, prompt => {
  const whole =
    prompt.kind === 'text'
      ? prompt.text
      : prompt.messages.map(m => (typeof m.content === 'string' ? m.content : '')).join('\n')
  if (whole.includes('REFUSE')) throw new ChatTemplateError('the template says no')
  if (whole.includes('IMAGE')) return Int32Array.of(1, unknownId)
  return promptIds(whole)
})

export function promptIds(prompt: string): Int32Array {
  return Int32Array.from(prompt, char => 1 + (char.charCodeAt(0) % 37))
}

export const setUp = (
  change: Parameters<typeof fakeEngine>[1] = {},
  textChange: Partial<EngineText> = {},
) => fakeEngine({ ...text, ...textChange }, change)

export const baseJob: GenerateJob = {
  model: 'default',
  prompt: { kind: 'text', prompts: ['a prompt'] },
  n: 1,
  maxTokens: 20,
  sampling: { seed: 7 },
  stop: [],
}

export function tokensAlone(job: GenerateJob, prompt: string, choice = 0): number[] {
  const ids = promptIds(prompt)
  const slot = slotOptions(
    job.sampling,
    { eosTokenIds: [] },
    { seed: job.sampling.seed ?? 0, topLogprobs: 0, history: ids },
  )
  return generateAlone(fakeGroups, {
    prompt: ids,
    maxLength: Math.min(fakeMaxModelLen, ids.length + (job.maxTokens ?? fakeMaxModelLen)),
    stopIds: new Set(job.ignoreEos ? [] : [0]),
    slot: { ...slot, choice },
  })
}

export function textAlone(job: GenerateJob, prompt: string, choice = 0): string {
  return detokenize(pieces, tokensAlone(job, prompt, choice), { skipSpecialTokens: true })
}

export function textOf(events: GenerateEvent[], index = 0): string {
  return events.map(e => (e.kind === 'text' && e.index === index ? e.text : '')).join('')
}

export function logprobsOf(events: GenerateEvent[], index = 0): TokenLogprob[] {
  return events.flatMap(e => (e.kind === 'text' && e.index === index ? (e.logprobs ?? []) : []))
}

export async function readAll(events: AsyncIterable<GenerateEvent[]>): Promise<GenerateEvent[][]> {
  const items: GenerateEvent[][] = []
  for await (const item of events) items.push(item)
  return items
}

export async function refusal(submitted: Promise<unknown>): Promise<EngineError> {
  return submitted.then(
    () => {
      throw new Error('the job was accepted')
    },
    error => error,
  )
}

export async function expectIdle(engine: LocalEngine): Promise<void> {
  await engine.drain(1000)
  await new Promise(resolve => setTimeout(resolve, 20))
  engine.checkInvariants()
  expect(engine.stats()).toMatchObject({ running: 0, waiting: 0, kvPagesUsed: 0 })
}

import { outputReading } from '../../runtime/engine/output/outputReading.ts'
import { TokenPiecesBuilder, tokenFlag } from '../../runtime/text/tokenizer/tokenPieces.ts'
import { fakeText } from './fakeEngine.ts'

/** Ids below 128 are ASCII characters, but for 0, which ends a text; then come control tokens. */
export const controls = ['<tool_call>', '</tool_call>', '<think>', '</think>']
export const vocabSize = 128 + controls.length
const pieces = (() => {
  const builder = new TokenPiecesBuilder(vocabSize)
  builder.addText('</s>', tokenFlag.special)
  for (let id = 1; id < 128; id++) builder.addText(String.fromCharCode(id), 0)
  for (const control of controls) builder.addText(control, tokenFlag.special)
  return builder.build('keep')
})()

export function encode(text: string): number[] {
  return text.split(/(<\/?tool_call>|<\/?think>)/).flatMap(part => {
    const control = controls.indexOf(part)
    return control < 0 ? Array.from(part, c => c.charCodeAt(0)) : [128 + control]
  })
}

export const text = fakeText(pieces, prompt => {
  const whole = prompt.kind === 'text' ? prompt.text : prompt.messages.at(-1)?.content
  return Int32Array.from(encode(typeof whole === 'string' ? whole : ''))
})
export const reading = await outputReading(
  {
    templates: ['<think> <tool_call>'],
    describedCalls: async () => undefined,
    tokenIds: async names => names.map(n => encode(n)[0]),
  },
  {},
)

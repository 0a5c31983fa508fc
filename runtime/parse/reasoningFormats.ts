import { harmonyMarkers } from './harmonyOutput.ts'

/** How a model family marks its reasoning. */
export interface ReasoningFormat {
  name: string
  /** The chat template of a model that reasons so contains this. */
  template: RegExp
  /** Tokens that have to reach the parser though they may be control tokens, which no text shows. */
  markers: string[]
  open: string
  close: string
  /** The tag cannot be meant as text, so a block may open after text as well. */
  anywhere?: true
  /** The tags with the space that the model puts around them. */
  written: { open: string; close: string }
}

/** In the order in which they are looked for: the first that fits a template is taken. */
export const reasoningFormats: ReasoningFormat[] = [
  {
    name: 'harmony',
    template: /<\|channel\|>[\s\S]*<\|message\|>/,
    markers: harmonyMarkers,
    open: '<|channel|>analysis<|message|>',
    close: '<|end|>',
    written: {
      open: '<|channel|>analysis<|message|>',
      close: '<|end|><|start|>assistant<|channel|>final<|message|>',
    },
  },
  {
    name: 'gemma4',
    template: /<\|channel>thought/,
    markers: ['<|channel>', '<channel|>'],
    open: '<|channel>thought',
    close: '<channel|>',
    anywhere: true,
    written: { open: '<|channel>thought\n', close: '\n<channel|>' },
  },
  {
    name: 'gemma',
    template: /<unused94>/,
    markers: ['<unused94>', '<unused95>'],
    open: '<unused94>thought',
    close: '<unused95>',
    anywhere: true,
    written: { open: '<unused94>thought\n', close: '<unused95>' },
  },
  { ...tags('mistral', /\[THINK\]/, '[THINK]', '[/THINK]'), anywhere: true },
  tags('seed', /<seed:think>/, '<seed:think>', '</seed:think>', '\n'),
  tags('cohere', /<\|START_THINKING\|>/, '<|START_THINKING|>', '<|END_THINKING|>'),
  tags('kimi-vl', /◁think▷/, '◁think▷', '◁/think▷', '\n'),
  tags('think', /<\/?think>/, '<think>', '</think>', '\n'),
]

function tags(
  name: string,
  template: RegExp,
  open: string,
  close: string,
  newline = '',
): ReasoningFormat {
  const written = { open: open + newline, close: newline + close + newline + newline }
  return { name, template, markers: [open, close], open, close, written }
}

import type { CallBounds } from './callAttempt.ts'
import { deepseekBegins, deepseekCalls } from './deepseekCalls.ts'
import { gemmaCall } from './gemmaCalls.ts'
import { harmonyMarkers } from './harmonyOutput.ts'
import { jsonCalls } from './jsonCalls.ts'
import { mistralCalls } from './mistralCalls.ts'
import type { Tape, Wait } from './tape.ts'
import type { DeclaredTools } from './toolCall.ts'
import { glmCall, qwenXmlCall } from './xmlCalls.ts'

/** How a model family writes tool calls: how to recognize and read them, and how they would be written. */
export interface ToolCallFormat extends CallBounds {
  name: string
  /** The chat template of a model that writes calls so contains this. */
  template: RegExp
  /** Tokens that have to reach the parser though they may be control tokens, which no text shows. */
  markers: string[]
  /** Control tokens by which the model hands over to its tools: they end the output. */
  endTokens?: string[]
  /** Reads the calls that begin at the cursor. @throws MalformedCall where there are none (any more) */
  parse: (tape: Tape, tools: DeclaredTools) => Wait<void>
  written: WrittenCalls
}

/**
 * The text of calls as the model itself writes them: `begin`, then each call as `before(name)`, arguments, `after` with `between`
 * in between, then `end`.
 */
export interface WrittenCalls {
  begin: string
  before: (name: string) => string
  /** `json` is a JSON object; the others are those of the format's own parser. */
  arguments: 'json' | 'qwenXml' | 'glmXml' | 'gemma'
  after: string
  between: string
  end: string
}

const jsonBefore = (prefix: string, key: string) => (name: string) =>
  `${prefix}{"name": ${JSON.stringify(name)}, "${key}": `

/** Also the form for models of which nothing else is known. */
export const hermes: ToolCallFormat = {
  name: 'hermes',
  template: /<tool_call>/,
  markers: ['<tool_call>', '</tool_call>'],
  openers: [{ text: '<tool_call>' }],
  closers: ['</tool_call>'],
  *parse(tape, tools) {
    yield* tape.expect('<tool_call>')
    yield* jsonCalls(tape, tools, '</tool_call>')
  },
  written: {
    begin: '',
    before: jsonBefore('<tool_call>\n', 'arguments'),
    arguments: 'json',
    after: '}\n</tool_call>',
    between: '\n',
    end: '',
  },
}

/** The more special a template's marks, the earlier its format: the first that fits is taken. */
export const toolCallFormats: ToolCallFormat[] = [
  {
    name: 'harmony',
    template: /<\|channel\|>[\s\S]*<\|message\|>/,
    markers: harmonyMarkers,
    endTokens: ['<|call|>', '<|return|>'],
    // A framing of whole outputs (harmonyOutput.ts) finds its calls itself.
    openers: [],
    closers: ['<|end|>', '<|call|>'],
    parse: function* () {},
    written: {
      begin: '',
      before: name => `<|channel|>commentary to=functions.${name} <|constrain|>json<|message|>`,
      arguments: 'json',
      after: '<|call|>',
      between: '<|start|>assistant',
      end: '',
    },
  },
  {
    name: 'gemma4',
    template: /<\|tool_call>/,
    markers: ['<|tool_call>', '<tool_call|>', '<|"|>'],
    endTokens: ['<|tool_response>'],
    openers: [{ text: '<|tool_call>' }],
    closers: ['<tool_call|>'],
    parse: gemmaCall,
    written: {
      begin: '',
      before: name => `<|tool_call>call:${name}`,
      arguments: 'gemma',
      after: '<tool_call|>',
      between: '',
      end: '',
    },
  },
  {
    name: 'deepseek-r1',
    template: /<｜tool▁sep｜>[\s\S]*```/,
    markers: deepseekMarkers(),
    openers: deepseekOpeners(),
    closers: ['<｜tool▁call▁end｜>', '<｜tool▁calls▁end｜>'],
    parse: deepseekCalls,
    written: {
      begin: '<｜tool▁calls▁begin｜>',
      before: name => `<｜tool▁call▁begin｜>function<｜tool▁sep｜>${name}\n\`\`\`json\n`,
      arguments: 'json',
      after: '\n```<｜tool▁call▁end｜>',
      between: '\n',
      end: '<｜tool▁calls▁end｜>',
    },
  },
  {
    name: 'deepseek',
    template: /<｜tool▁calls▁begin｜>/,
    markers: deepseekMarkers(),
    openers: deepseekOpeners(),
    closers: ['<｜tool▁call▁end｜>', '<｜tool▁calls▁end｜>'],
    parse: deepseekCalls,
    written: {
      begin: '<｜tool▁calls▁begin｜>',
      before: name => `<｜tool▁call▁begin｜>${name}<｜tool▁sep｜>`,
      arguments: 'json',
      after: '<｜tool▁call▁end｜>',
      between: '',
      end: '<｜tool▁calls▁end｜>',
    },
  },
  {
    name: 'glm',
    template: /<arg_key>/,
    markers: [
      '<tool_call>',
      '</tool_call>',
      '<arg_key>',
      '</arg_key>',
      '<arg_value>',
      '</arg_value>',
    ],
    openers: [{ text: '<tool_call>' }],
    closers: ['</tool_call>'],
    parse: glmCall,
    written: {
      begin: '',
      before: name => `<tool_call>${name}\n`,
      arguments: 'glmXml',
      after: '</tool_call>',
      between: '\n',
      end: '',
    },
  },
  {
    name: 'qwen3-coder',
    template: /<function=/,
    markers: ['<tool_call>', '</tool_call>'],
    openers: [{ text: '<tool_call>' }, { text: '<function=' }],
    closers: ['</tool_call>'],
    parse: qwenXmlCall,
    written: {
      begin: '',
      before: name => `<tool_call>\n<function=${name}>\n`,
      arguments: 'qwenXml',
      after: '</function>\n</tool_call>',
      between: '\n',
      end: '',
    },
  },
  {
    name: 'mistral',
    template: /\[TOOL_CALLS\][\s\S]*\[ARGS\]/,
    markers: ['[TOOL_CALLS]', '[CALL_ID]', '[ARGS]'],
    openers: [{ text: '[TOOL_CALLS]' }],
    closers: [],
    parse: mistralCalls,
    written: {
      begin: '',
      before: name => `[TOOL_CALLS]${name}[ARGS]`,
      arguments: 'json',
      after: '',
      between: '',
      end: '',
    },
  },
  {
    name: 'mistral-nemo',
    template: /\[TOOL_CALLS\]/,
    markers: ['[TOOL_CALLS]', '[CALL_ID]', '[ARGS]'],
    openers: [{ text: '[TOOL_CALLS]' }],
    closers: [],
    parse: mistralCalls,
    written: {
      begin: '[TOOL_CALLS][',
      before: jsonBefore('', 'arguments'),
      arguments: 'json',
      after: '}',
      between: ', ',
      end: ']',
    },
  },
  {
    name: 'phi',
    template: /<\|\/?tool_call\|>|<\|tool\|>|functools/,
    markers: ['<|tool_call|>', '<|/tool_call|>'],
    openers: [{ text: '<|tool_call|>' }, { text: 'functools' }],
    closers: ['<|/tool_call|>'],
    *parse(tape, tools) {
      if (yield* tape.take('functools')) yield* jsonCalls(tape, tools)
      else {
        yield* tape.expect('<|tool_call|>')
        yield* jsonCalls(tape, tools, '<|/tool_call|>')
      }
    },
    written: {
      begin: '<|tool_call|>[',
      before: jsonBefore('', 'arguments'),
      arguments: 'json',
      after: '}',
      between: ', ',
      end: ']<|/tool_call|>',
    },
  },
  hermes,
  {
    name: 'llama3',
    template: /<\|python_tag\|>|<\|start_header_id\|>[\s\S]*"parameters": /,
    markers: ['<|python_tag|>'],
    endTokens: ['<|eom_id|>'],
    openers: [{ text: '<|python_tag|>' }, { text: '{', atLineStart: true }],
    closers: [],
    *parse(tape, tools) {
      yield* tape.take('<|python_tag|>')
      yield* jsonCalls(tape, tools)
    },
    written: {
      begin: '',
      before: jsonBefore('', 'parameters'),
      arguments: 'json',
      after: '}',
      between: '; ',
      end: '',
    },
  },
]

function deepseekMarkers(): string[] {
  return [
    '<｜tool▁calls▁begin｜>',
    '<｜tool▁call▁begin｜>',
    '<｜tool▁sep｜>',
    '<｜tool▁call▁end｜>',
    '<｜tool▁calls▁end｜>',
  ]
}

function deepseekOpeners(): { text: string }[] {
  return [...deepseekBegins, '<｜tool▁call▁begin｜>'].map(text => ({ text }))
}

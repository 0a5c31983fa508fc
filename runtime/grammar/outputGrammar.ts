import type { Grammar } from '../../edge/engine.ts'
import { reasoningFormats } from '../parse/reasoningFormats.ts'
import { type ToolCallFormat, toolCallFormats } from '../parse/toolCallFormats.ts'
import { type CallableTool, callArguments } from './callArguments.ts'
import {
  anyOfChars,
  charClass,
  choice,
  complement,
  type Expr,
  empty,
  GrammarError,
  type GrammarRules,
  repeat,
  rule,
  seq,
  union,
} from './expr.ts'
import { freeText, type Mark } from './freeText.ts'
import { lowerGrammar } from './lowerGrammar.ts'
import { type ControlTokens, markup } from './markup.ts'

/** Everything that a model may say: reasoning, then text or calls. Plain data, and the key under which it is cached. */
export interface OutputRequest {
  /** Of the visible text; absent: any. */
  grammar?: Grammar
  calls?: {
    /** Name in `toolCallFormats`. */
    format: string
    tools: CallableTool[]
    /** Nothing but calls. */
    required: boolean
    /** More than one. */
    parallel: boolean
  }
  reasoning?: {
    /** Name in `reasoningFormats`. */
    format: string
    /** `open`: the prompt ends inside a block. `never`: the model was asked not to reason. */
    start: 'open' | 'optional' | 'never'
  }
  /** Texts of control tokens, which no text spells, with their ids. */
  controlTokens: [text: string, id: number][]
}

/** The rules of a whole output. @throws GrammarError */
export function lowerOutput(request: OutputRequest): GrammarRules {
  return new OutputLowering(request).lower()
}

const root = ' output'
/** More space than any model puts around a block. */
const space = repeat(anyOfChars('\n '), 0, 4)

class OutputLowering {
  readonly #request: OutputRequest
  readonly #controls: ControlTokens
  readonly #format: ToolCallFormat | undefined
  readonly #rules = new Map<string, Expr>()
  readonly #define = (name: string, expr: Expr) => {
    this.#rules.set(name, expr)
  }

  constructor(request: OutputRequest) {
    this.#request = request
    this.#controls = new Map(request.controlTokens)
    this.#format = toolCallFormats.find(({ name }) => name === request.calls?.format)
  }

  lower(): GrammarRules {
    const { reasoning, calls } = this.#request
    const isHarmony = reasoning?.format === 'harmony' || calls?.format === 'harmony'
    this.#define(root, isHarmony ? this.#messages() : this.#tagged())
    return { root, rules: this.#rules }
  }

  /** An optional block of reasoning between tags, then the answer. */
  #tagged(): Expr {
    const { reasoning } = this.#request
    this.#define(' answer', this.#answer())
    const answer = rule(' answer')
    const format = reasoningFormats.find(({ name }) => name === reasoning?.format)
    if (format === undefined || reasoning === undefined) return answer
    if (reasoning.start === 'never') return answer
    const block = this.#until(format.close, seq(space, answer))
    if (reasoning.start === 'open') return block
    return choice(answer, seq(markup(format.open, this.#controls), block))
  }

  /** GPT-OSS's messages: analysis if the model likes, then the final one, or a call. */
  #messages(): Expr {
    const { grammar, calls, reasoning } = this.#request
    const final = seq(markup('<|channel|>final<|message|>', this.#controls), this.#text(grammar))
    const ways = [
      ...(calls?.required ? [] : [final]),
      ...(calls === undefined ? [] : [this.#calls('')]),
    ]
    this.#define(' answer', choice(...ways))
    const nextMessage = seq(markup('<|start|>assistant', this.#controls), rule(' answer'))
    const analysis = this.#until('<|end|>', nextMessage)
    if (reasoning?.start === 'open') return analysis
    return choice(
      rule(' answer'),
      seq(markup('<|channel|>analysis<|message|>', this.#controls), analysis),
    )
  }

  #answer(): Expr {
    const { grammar, calls } = this.#request
    if (calls === undefined) return this.#text(grammar)
    if (calls.required) return this.#calls('')
    if (grammar !== undefined) return choice(this.#text(grammar), this.#calls(''))
    return this.#textWithCalls()
  }

  #text(grammar: Grammar | undefined): Expr {
    if (grammar === undefined) return this.#free([], true, ' text')
    const lowered = lowerGrammar(grammar)
    for (const [name, expr] of lowered.rules) this.#define(name, expr)
    return rule(lowered.root)
  }

  /** Text in which calls may begin anywhere, and nothing else that would be read as one. */
  #textWithCalls(): Expr {
    const { openers, written } = this.#known()
    const [first] = this.#request.calls?.tools ?? []
    const start = first === undefined ? '' : written.begin + written.before(first.name)
    const own = openers.find(({ text }) => start.startsWith(text))
    const marks: Mark[] = openers
      .filter(opener => opener !== own)
      .map(({ text, atLineStart }) => ({ text: atLineStart ? `\n${text}` : text }))
    if (own === undefined || own.atLineStart) {
      // Such a call can be told from text only where the answer begins.
      if (own !== undefined) marks.push({ text: `\n${own.text}` })
      const text = this.#free(marks, true, ' text')
      const firstChars = own === undefined ? [] : [own.text.codePointAt(0) ?? 0]
      const notOpener = complement(union(firstChars.map(c => [c, c] as const)))
      return choice(this.#calls(''), empty, seq(charClass(notOpener), text))
    }
    const mayGoOn = this.#request.calls?.parallel !== false
    const call = seq(this.#calls(own.text), mayGoOn ? rule(' text with calls') : empty)
    this.#define(' call in text', call)
    marks.push({ text: own.text, next: rule(' call in text') })
    this.#define(' text with calls', this.#free(marks, true, ' text'))
    return rule(' text with calls')
  }

  /** @param opener what has been read of the first call's markup */
  #calls(opener: string): Expr {
    const { written, endTokens = [] } = this.#known()
    const { calls } = this.#request
    // A token that ends the call and the output is drawn as an end of text.
    const after = endTokens.includes(written.after) ? '' : written.after
    const call = (start: (name: string) => string): Expr =>
      choice(
        ...(calls?.tools ?? []).map(tool =>
          seq(this.#markup(start(tool.name)), this.#arguments(tool), this.#markup(after)),
        ),
      )
    const first = call(name => (written.begin + written.before(name)).slice(opener.length))
    const isOne = calls?.parallel === false || after !== written.after
    const more = seq(this.#markup(written.between), call(written.before))
    return seq(first, repeat(more, 0, isOne ? 0 : Infinity), this.#markup(written.end))
  }

  #arguments(tool: CallableTool): Expr {
    const name = ` arguments of ${tool.name}`
    if (!this.#rules.has(name)) {
      const scope = { controls: this.#controls, define: this.#define }
      this.#define(name, empty)
      this.#define(name, callArguments(tool, this.#known().written.arguments, scope))
    }
    return rule(name)
  }

  #known(): ToolCallFormat {
    if (this.#format === undefined) throw new GrammarError('the model has no format for calls')
    return this.#format
  }

  #markup(value: string): Expr {
    return markup(value, this.#controls)
  }

  /** Anything up to a tag, the tag, and what follows; no call, which would end the block as well. */
  #until(tag: string, then: Expr): Expr {
    this.#define(' after block', then)
    const openers = this.#format?.openers ?? []
    const marks = openers.filter(({ atLineStart }) => !atLineStart).map(({ text }) => ({ text }))
    return this.#free([{ text: tag, next: rule(' after block') }, ...marks], false, ' block')
  }

  #free(marks: Mark[], canEnd: boolean, name: string): Expr {
    return freeText(marks, canEnd, this.#controls, this.#define, name)
  }
}

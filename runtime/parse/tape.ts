/**
 * One piece of what a model said, told apart from the markup around it. A call is `call_start`, its arguments in pieces, then
 * `call_end`, which is missing only where the output ends in the call; its arguments are one JSON object unless the model failed
 * to write it. `markup` closes a block.
 *
 * `end` counts the UTF-16 units of the output that are accounted for once the piece is given: tokens up to there belong to it.
 */
export type ParsedDelta =
  | { kind: 'text'; text: string; end: number }
  | { kind: 'reasoning'; text: string; end: number }
  | { kind: 'call_start'; name: string; end: number }
  | { kind: 'call_arguments'; text: string; end: number }
  | { kind: 'call_end'; end: number }
  | { kind: 'markup'; of: 'reasoning' | 'call'; end: number }

/** A parser's step: it yields when it needs more output than has arrived. */
export type Wait<T> = Generator<undefined, T, undefined>

/** Thrown by a parser where the output does not follow the format; never leaves the parser. */
export class MalformedCall extends Error {}

const spaces = /[ \n\r\t]*/y

/**
 * The output of a model as parsers read it: a cursor that may look ahead and go back, and beside it the deltas made so far.
 *
 * Nothing is lost by construction: all text up to the cursor stays unsettled until it is given as a delta or skipped as markup,
 * and a parser that gives up goes back to what is settled.
 */
export class Tape {
  #text = ''
  /** Offset in the output of `#text[0]`. */
  #origin = 0
  #cursor = 0
  #settled = 0
  #isInCall = false
  #isEnded = false
  #numCalls = 0
  #deltas: ParsedDelta[] = []

  feed(text: string): void {
    this.#text = this.#text.slice(this.#settled) + text
    this.#origin += this.#settled
    this.#cursor -= this.#settled
    this.#settled = 0
  }

  end(): void {
    this.#isEnded = true
  }

  /** What was given since the last time, neighbours of one kind joined. */
  takeDeltas(): ParsedDelta[] {
    const deltas = this.#deltas
    this.#deltas = []
    return deltas
  }

  /** Next character of what has arrived, '' where it ends. */
  get current(): string {
    return this.#text[this.#cursor] ?? ''
  }

  /** Offset of the cursor in the output. */
  get offset(): number {
    return this.#origin + this.#cursor
  }

  /** Text up to the cursor that is neither given nor skipped. */
  get unsettled(): string {
    return this.#text.slice(this.#settled, this.#cursor)
  }

  /** Text from an offset, not yet settled, to the cursor. */
  since(offset: number): string {
    return this.#text.slice(offset - this.#origin, this.#cursor)
  }

  /** Nothing more will arrive: what is unsettled is the beginning of something that the output was cut in. */
  get isEnded(): boolean {
    return this.#isEnded
  }

  /** Calls ended so far. */
  get numCalls(): number {
    return this.#numCalls
  }

  get isInCall(): boolean {
    return this.#isInCall
  }

  /** Next character; '' at the end of the output. */
  *peek(): Wait<string> {
    while (this.current === '' && !this.#isEnded) yield
    return this.current
  }

  /** Whether the output goes on with `literal`. */
  *lookingAt(literal: string): Wait<boolean> {
    for (;;) {
      if (this.#text.startsWith(literal, this.#cursor)) return true
      if (this.#isEnded || !literal.startsWith(this.#text.slice(this.#cursor))) return false
      yield
    }
  }

  /** Moves over `literal` if the output goes on with it. */
  *take(literal: string): Wait<boolean> {
    const isThere = yield* this.lookingAt(literal)
    if (isThere) this.#cursor += literal.length
    return isThere
  }

  /** @throws MalformedCall when the output goes on differently */
  *expect(literal: string): Wait<void> {
    if (!(yield* this.take(literal))) throw new MalformedCall()
  }

  *skipSpace(): Wait<void> {
    do this.advanceOver(spaces)
    while ((yield* this.peek()) !== '' && isSpace(this.current))
  }

  advance(): void {
    this.#cursor++
  }

  /** Moves over what a sticky pattern matches in the text that has arrived. @returns that text */
  advanceOver(pattern: RegExp): string {
    pattern.lastIndex = this.#cursor
    const [matched = ''] = pattern.exec(this.#text) ?? []
    this.#cursor += matched.length
    return matched
  }

  /** Back to an offset, or to what is settled. */
  rewind(offset = this.#origin + this.#settled): void {
    this.#cursor = offset - this.#origin
  }

  /** Settles the text up to the cursor as markup that opens something. */
  skip(): void {
    this.#settled = this.#cursor
  }

  /** Settles the text up to the cursor as markup that closes a block. */
  close(of: 'reasoning' | 'call'): void {
    if (this.#settled === this.#cursor) return
    this.skip()
    const last = this.#deltas.at(-1)
    if (last?.kind === 'markup' && last.of === of) last.end = this.offset
    else this.#deltas.push({ kind: 'markup', of, end: this.offset })
  }

  /** Settles the text up to the cursor by giving it as it is, or as `text`. */
  give(kind: 'text' | 'reasoning' | 'call_arguments', text = this.unsettled): void {
    this.skip()
    if (text === '') return
    const end = this.offset
    const last = this.#deltas.at(-1)
    if (last?.kind === kind) {
      last.text += text
      last.end = end
    } else this.#deltas.push({ kind, text, end })
  }

  startCall(name: string): void {
    this.skip()
    this.#isInCall = true
    this.#deltas.push({ kind: 'call_start', name, end: this.offset })
  }

  endCall(): void {
    this.skip()
    this.#isInCall = false
    this.#numCalls++
    this.#deltas.push({ kind: 'call_end', end: this.offset })
  }
}

export function isSpace(character: string): boolean {
  return character === ' ' || character === '\n' || character === '\r' || character === '\t'
}

/** A sticky pattern of text in which none of the tags begins and that has no space. */
export function plainText(tags: readonly string[]): RegExp {
  const starts = new Set(tags.map(tag => tag.charAt(0)))
  const excluded = [...starts].map(c => c.replace(/[\\\]^-]/, '\\$&')).join('')
  return new RegExp(`[^\\s${excluded}]*`, 'y')
}

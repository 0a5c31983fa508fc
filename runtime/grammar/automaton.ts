import { AtomNames, atomsOf } from './atoms.ts'
import { type Expr, GrammarError, type GrammarRules } from './expr.ts'
import { encodeUtf8, utf8Ranges } from './utf8Ranges.ts'

/**
 * A grammar as a recursive transition network over bytes, in plain arrays so that it can be sent to another thread. S states,
 * E edges, R rules. States from which no end can be reached are gone.
 */
export interface Automaton {
  /** State a match begins in. */
  start: number
  /** [S + 1] edges of each state. */
  edgeStart: Int32Array<ArrayBuffer>
  /** [E] `edgeKind`. */
  kinds: Uint8Array<ArrayBuffer>
  /** [E] bytes: low | high << 8; call: start state of the rule; token: its id. */
  labels: Int32Array<ArrayBuffer>
  /** [E] state after the edge. */
  targets: Int32Array<ArrayBuffer>
  /** [S] `stateFlag`. */
  flags: Uint8Array<ArrayBuffer>
  /** [S] fewest tokens of one byte (and control tokens) from here to the end of the rule; Infinity when some are missing. */
  distances: Float64Array<ArrayBuffer>
  /**
   * [S] a state that allows the same next token: how often a part has been repeated makes no difference while that is further
   * from the least and the most than a token can reach.
   */
  alike: Int32Array<ArrayBuffer>
}

/** What of a vocabulary a network depends on. */
export interface TokenLimits {
  /** [256] 1 for each byte that is a token of its own. */
  byteTokens: Uint8Array
  /** Bytes of the longest token. */
  maxTokenBytes: number
}

export const edgeKind = { bytes: 0, call: 1, silent: 2, token: 3 } as const

export const stateFlag = {
  /** The rule may end here. */
  accepts: 1,
  /** The rule must end here: a call that returns to this state needs no return. */
  onlyAccepts: 2,
  /** Some edge of it reads a byte or token. */
  reads: 4,
  /** A repeated part ends here, often a single character. */
  repeats: 8,
} as const

/** Longer grammars would take seconds to build and hundreds of megabytes to walk. */
const maxStates = 400_000
/** Repeated parts longer than this become rules of their own, so that counting them costs one edge each. */
const maxRepeatedSize = 2

interface Edge {
  kind: number
  label: number
  target: number
}

/**
 * Builds the network of a grammar.
 * @throws GrammarError for an unknown rule, left recursion, a grammar that nothing matches or that is too large
 */
export function compileAutomaton(grammar: GrammarRules, limits: TokenLimits): Automaton {
  const builder = new NetworkBuilder(grammar.rules, limits.maxTokenBytes)
  const start = builder.ruleStart(grammar.root)
  builder.buildAll()
  return builder.pack(start, limits.byteTokens)
}

class NetworkBuilder {
  readonly #rules: Map<string, Expr>
  readonly #maxTokenBytes: number
  readonly #edges: Edge[][] = []
  readonly #alike = new Map<number, number>()
  readonly #repeating = new Set<number>()
  readonly #accepts: boolean[] = []
  readonly #starts = new Map<string, number>()
  readonly #names = new Map<number, string>()
  readonly #unbuilt: { name: string; expr: Expr }[] = []
  #numAnonymous = 0

  constructor(rules: Map<string, Expr>, maxTokenBytes: number) {
    this.#rules = rules
    this.#maxTokenBytes = maxTokenBytes
  }

  ruleStart(name: string): number {
    const known = this.#starts.get(name)
    if (known !== undefined) return known
    const expr = this.#rules.get(name)
    if (expr === undefined) throw new GrammarError(`the rule "${name}" is not defined`)
    return this.#declare(name, expr)
  }

  buildAll(): void {
    for (let next = this.#unbuilt.pop(); next !== undefined; next = this.#unbuilt.pop()) {
      const end = this.#add(next.expr, this.#starts.get(next.name) ?? 0)
      this.#accepts[end] = true
    }
  }

  /** A rule that calls itself before it has read anything would never come to an end. */
  #checkLeftRecursion(distances: Float64Array): void {
    const state = new Map<number, 'open' | 'done'>()
    const visit = (start: number): void => {
      if (state.get(start) === 'done') return
      if (state.get(start) === 'open') {
        throw new GrammarError(`the rule "${this.#names.get(start)}" is left-recursive`)
      }
      state.set(start, 'open')
      for (const called of this.#leftCalls(start, distances)) visit(called)
      state.set(start, 'done')
    }
    for (const start of this.#names.keys()) visit(start)
  }

  pack(start: number, byteTokens: Uint8Array): Automaton {
    const possible = this.#distances(new Uint8Array(256).fill(1))
    this.#checkLeftRecursion(possible)
    if (possible[start] === Infinity) throw new GrammarError('no text matches the grammar')
    const live = this.#edges.map(edges =>
      edges.filter(e => {
        const called = e.kind === edgeKind.call ? (possible[e.label] ?? Infinity) : 0
        return (possible[e.target] ?? Infinity) + called < Infinity
      }),
    )
    const edgeStart = new Int32Array(live.length + 1)
    for (const [s, edges] of live.entries()) edgeStart[s + 1] = (edgeStart[s] ?? 0) + edges.length
    const all = live.flat()
    return {
      start,
      edgeStart,
      kinds: Uint8Array.from(all, e => e.kind),
      labels: Int32Array.from(all, e => e.label),
      targets: Int32Array.from(all, e => e.target),
      flags: this.#flags(live),
      distances: this.#distances(byteTokens),
      alike: Int32Array.from(live, (_, s) => this.#alike.get(s) ?? s),
    }
  }

  #flags(live: readonly Edge[][]): Uint8Array<ArrayBuffer> {
    const flags = Uint8Array.from(live, (edges, s) => {
      const reads = edges.some(e => e.kind === edgeKind.bytes || e.kind === edgeKind.token)
      return (
        (this.#accepts[s] ? stateFlag.accepts : 0) |
        (reads ? stateFlag.reads : 0) |
        (this.#repeating.has(s) ? stateFlag.repeats : 0)
      )
    })
    const onlyAccepts = (s: number) => ((flags[s] ?? 0) & stateFlag.onlyAccepts) !== 0
    for (let changed = true; changed; ) {
      changed = false
      for (let s = live.length - 1; s >= 0; s--) {
        const edges = live[s] ?? []
        if (onlyAccepts(s) || (edges.length === 0 && !this.#accepts[s])) continue
        if (edges.every(e => e.kind === edgeKind.silent && onlyAccepts(e.target))) {
          flags[s] = (flags[s] ?? 0) | stateFlag.onlyAccepts
          changed = true
        }
      }
    }
    return flags
  }

  #state(): number {
    if (this.#edges.length >= maxStates) {
      throw new GrammarError('the grammar is too large: fewer or smaller repetitions, please')
    }
    this.#edges.push([])
    return this.#edges.length - 1
  }

  #declare(name: string, expr: Expr): number {
    const start = this.#state()
    this.#starts.set(name, start)
    this.#names.set(start, name)
    this.#unbuilt.push({ name, expr })
    return start
  }

  #link(from: number, kind: number, label: number, target: number): number {
    this.#edges[from]?.push({ kind, label, target })
    return target
  }

  /** Adds what reads an expression. @returns the state after it, which has no edges yet */
  #add(expr: Expr, from: number): number {
    switch (expr.kind) {
      case 'text':
        return Array.from(expr.text).reduce(
          (state, char) => this.#addBytes(encodeUtf8(char.codePointAt(0) ?? 0), state),
          from,
        )
      case 'class':
        return this.#addClass(utf8Ranges(expr.points), from)
      case 'seq':
        return expr.items.reduce((state, item) => this.#add(item, state), from)
      case 'choice':
        return this.#addChoice(expr.items, from)
      case 'repeat':
        return this.#addRepeat(expr, from)
      case 'rule':
        return this.#link(from, edgeKind.call, this.ruleStart(expr.name), this.#state())
      case 'token':
        return this.#link(from, edgeKind.token, expr.id, this.#state())
    }
  }

  /** What alternatives begin with they share: thousands of words are one way to go on, and not thousands. */
  #addChoice(items: readonly Expr[], from: number): number {
    const end = this.#state()
    const root = this.#link(from, edgeKind.silent, 0, this.#state())
    const names = new AtomNames()
    const after = new Map<string, number>()
    for (const item of items) {
      let state = root
      for (const atom of atomsOf(item)) {
        const key = `${state}${names.of(atom)}`
        let next = after.get(key)
        if (next === undefined) {
          // What loops must not come back to where the others begin.
          const isPlain = atom.kind === 'text' || atom.kind === 'class'
          const first = isPlain ? state : this.#link(state, edgeKind.silent, 0, this.#state())
          next = this.#add(atom, first)
          after.set(key, next)
        }
        state = next
      }
      this.#link(state, edgeKind.silent, 0, end)
    }
    return end
  }

  #addBytes(bytes: number[], from: number): number {
    return bytes.reduce(
      (state, byte) => this.#link(state, edgeKind.bytes, byte | (byte << 8), this.#state()),
      from,
    )
  }

  #addClass(ways: ReturnType<typeof utf8Ranges>, from: number): number {
    const end = this.#state()
    // Ways with the same last bytes share them: a class of all characters takes a dozen states.
    const shared = new Map<string, number>()
    for (const way of ways) {
      let to = end
      let key = ''
      for (let i = way.length - 1; i > 0; i--) {
        const [low, high] = way[i] ?? [0, 0]
        key += `${low}-${high} `
        const known = shared.get(key)
        if (known !== undefined) {
          to = known
          continue
        }
        const state = this.#state()
        this.#link(state, edgeKind.bytes, low | (high << 8), to)
        shared.set(key, state)
        to = state
      }
      const [low, high] = way[0] ?? [0, 0]
      this.#link(from, edgeKind.bytes, low | (high << 8), to)
    }
    return end
  }

  #addRepeat({ item, min, max }: Extract<Expr, { kind: 'repeat' }>, from: number): number {
    const isLong = size(item) > maxRepeatedSize && (min > 1 || (max > 1 && max < Infinity))
    const part = isLong ? this.#asRule(item) : item
    let state = from
    const required = [from]
    for (let i = 0; i < min; i++) {
      state = this.#add(part, state)
      required.push(state)
    }
    this.#markAlike(required)
    if (max === Infinity) {
      const loop = this.#link(state, edgeKind.silent, 0, this.#state())
      const after = this.#add(part, loop)
      this.#repeating.add(after)
      this.#link(after, edgeKind.silent, 0, loop)
      return this.#link(loop, edgeKind.silent, 0, this.#state())
    }
    const end = this.#state()
    const before = [state]
    const inside: number[] = []
    for (let i = min; i < max; i++) {
      this.#link(state, edgeKind.silent, 0, end)
      const next = this.#link(state, edgeKind.silent, 0, this.#state())
      inside.push(next)
      state = this.#add(part, next)
      before.push(state)
    }
    this.#markAlike(before)
    this.#markAlike(inside)
    return this.#link(state, edgeKind.silent, 0, end)
  }

  /** @param chain states after each repetition: those that are further from the last than a token reaches are alike */
  #markAlike(chain: readonly number[]): void {
    for (const state of chain.slice(1)) this.#repeating.add(state)
    const last = chain.length - 2 - this.#maxTokenBytes
    // The first is also the end of what comes before, and may be reached otherwise.
    for (let i = 1; i < last; i++) this.#alike.set(chain[i] ?? 0, chain[last] ?? 0)
  }

  #asRule(item: Expr): Expr {
    if (item.kind === 'rule') return item
    const name = ` repeated ${this.#numAnonymous++}`
    this.#declare(name, item)
    return { kind: 'rule', name }
  }

  /** Rules that a rule may call before it has read anything. */
  #leftCalls(start: number, distances: Float64Array): Set<number> {
    const calls = new Set<number>()
    const reached = new Set([start])
    for (const state of reached) {
      for (const { kind, label, target } of this.#edges[state] ?? []) {
        if (kind === edgeKind.call) calls.add(label)
        const readsNothing = kind === edgeKind.call && distances[label] === 0
        if (kind === edgeKind.silent || readsNothing) reached.add(target)
      }
    }
    return calls
  }

  /** Shortest ways to the end of each state's rule: a change is passed on to the states it matters to. */
  #distances(byteTokens: Uint8Array): Float64Array<ArrayBuffer> {
    const hasToken = (label: number) =>
      byteTokens.subarray(label & 0xff, (label >> 8) + 1).includes(1)
    const steps: { from: number; target: number; called: number; cost: number }[][] =
      this.#edges.map(() => [])
    for (const [from, edges] of this.#edges.entries()) {
      for (const { kind, label, target } of edges) {
        if (kind === edgeKind.bytes && !hasToken(label)) continue
        const called = kind === edgeKind.call ? label : -1
        const cost = kind === edgeKind.bytes || kind === edgeKind.token ? 1 : 0
        const step = { from, target, called, cost }
        steps[target]?.push(step)
        if (called >= 0) steps[called]?.push(step)
      }
    }
    const distance = new Float64Array(this.#edges.length).fill(Infinity)
    const changed: number[] = []
    const isQueued = new Uint8Array(this.#edges.length)
    const improve = (state: number, value: number) => {
      if (value >= (distance[state] ?? Infinity)) return
      distance[state] = value
      if (isQueued[state]) return
      isQueued[state] = 1
      changed.push(state)
    }
    for (const [state, accepts] of this.#accepts.entries()) if (accepts) improve(state, 0)
    for (let i = 0; i < changed.length; i++) {
      const state = changed[i] ?? 0
      isQueued[state] = 0
      for (const { from, target, called, cost } of steps[state] ?? []) {
        const inside = called < 0 ? cost : (distance[called] ?? Infinity)
        improve(from, inside + (distance[target] ?? Infinity))
      }
    }
    return distance
  }
}

/** Roughly the states an expression takes. */
function size(expr: Expr): number {
  switch (expr.kind) {
    case 'text':
      return expr.text.length
    case 'class':
      return expr.points.every(([, high]) => high < 0x80) ? 1 : 4
    case 'seq':
    case 'choice':
      return expr.items.reduce((n, item) => n + size(item), 1)
    case 'repeat':
      return size(expr.item) * Math.max(1, Math.min(expr.max, 100))
    case 'rule':
    case 'token':
      return 1
  }
}

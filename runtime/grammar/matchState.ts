import { type Automaton, edgeKind, stateFlag } from './automaton.ts'

/** Where calls return to: a list that shares its tails. The bottom has no `parent`. */
export interface Stack {
  readonly id: number
  /** State after the call; -1 at a bottom. */
  readonly returnTo: number
  readonly parent: Stack | undefined
  readonly depth: number
  /** Fewest one-byte tokens from the return to the end of the text. */
  readonly distance: number
  readonly children: Map<number, Stack>
}

/** All the ways a text so far can be read: network states with their stacks. */
export interface MatchState {
  readonly states: readonly number[]
  readonly stacks: readonly Stack[]
  /** The text may end here (or, under an open bottom, leave what the bottom stands for). */
  readonly accepts: boolean
  /** Fewest tokens to an end. */
  readonly distance: number
  /** [256] the state after a byte, null when there is none, undefined while unknown. */
  readonly next: (MatchState | null | undefined)[]
  /** Control tokens that may come next, with the states after them. */
  readonly tokens: ReadonlyMap<number, MatchState>
}

/** Ways kept of a very ambiguous text; those nearest to an end. Fewer ways only make the language smaller. */
const maxWays = 500
/** States remembered before starting afresh, some kilobytes each, and their ways, fifty bytes each. */
const maxRemembered = 4096
const maxRememberedWays = 2 ** 18

let numStacks = 0

/**
 * Steps a grammar's network byte by byte, remembering every state and step: a deterministic automaton made as it is needed.
 * Old states stay usable when the memory is dropped.
 */
export class MatchGraph {
  readonly automaton: Automaton
  readonly start: MatchState
  /** A bottom that stands for any stack. */
  readonly openBottom = bottom()
  readonly #bottom = bottom()
  #known = new Map<string, MatchState>()
  #numWays = 0

  constructor(automaton: Automaton) {
    this.automaton = automaton
    this.start =
      this.closure([automaton.start], [this.#bottom]) ?? fail('a grammar that nothing can match')
  }

  /** Whether ways of the state may be given up within the next token, which states that stand for it would not see. */
  isCrowded({ states }: MatchState): boolean {
    return states.length > maxWays / 2
  }

  /** The state after a byte, or null. */
  step(from: MatchState, byte: number): MatchState | null {
    const known = from.next[byte]
    if (known !== undefined) return known
    const { edgeStart, kinds, labels, targets } = this.automaton
    const states: number[] = []
    const stacks: Stack[] = []
    for (let i = 0; i < from.states.length; i++) {
      const state = from.states[i] ?? 0
      const stack = from.stacks[i]
      if (stack === undefined) continue
      for (let e = edgeStart[state] ?? 0; e < (edgeStart[state + 1] ?? 0); e++) {
        const label = labels[e] ?? 0
        if (kinds[e] !== edgeKind.bytes || byte < (label & 0xff) || byte > label >> 8) continue
        states.push(targets[e] ?? 0)
        stacks.push(stack)
      }
    }
    const to = states.length === 0 ? null : this.closure(states, stacks)
    from.next[byte] = to
    return to
  }

  /** The state in which all the given ways are open, with what follows from them without reading; null when none is. */
  closure(states: number[], stacks: Stack[]): MatchState | null {
    const { edgeStart, kinds, labels, targets, flags } = this.automaton
    const seen = new Map<Stack, Set<number>>()
    const kept: { state: number; stack: Stack }[] = []
    let accepts = false
    const add = (state: number, stack: Stack) => {
      let under = seen.get(stack)
      if (under === undefined) {
        under = new Set()
        seen.set(stack, under)
      }
      if (under.has(state)) return
      under.add(state)
      states.push(state)
      stacks.push(stack)
    }
    const seeds = states.splice(0)
    const seedStacks = stacks.splice(0)
    for (const [i, state] of seeds.entries()) {
      const stack = seedStacks[i]
      if (stack !== undefined) add(state, stack)
    }
    for (let i = 0; i < states.length; i++) {
      const state = states[i] ?? 0
      const stack = stacks[i]
      if (stack === undefined) continue
      const flag = flags[state] ?? 0
      if (flag & stateFlag.reads) kept.push({ state, stack })
      if (flag & stateFlag.accepts) {
        if (stack.parent === undefined) accepts = true
        else add(stack.returnTo, stack.parent)
      }
      for (let e = edgeStart[state] ?? 0; e < (edgeStart[state + 1] ?? 0); e++) {
        const target = targets[e] ?? 0
        if (kinds[e] === edgeKind.silent) add(target, stack)
        else if (kinds[e] === edgeKind.call) {
          const isTail = ((flags[target] ?? 0) & stateFlag.onlyAccepts) !== 0
          add(labels[e] ?? 0, isTail ? stack : this.push(stack, target))
        }
      }
    }
    return kept.length === 0 && !accepts ? null : this.#intern(kept, accepts)
  }

  /** A call made where `parent` stands. */
  push(parent: Stack, returnTo: number): Stack {
    let child = parent.children.get(returnTo)
    if (child === undefined) {
      child = {
        id: numStacks++,
        returnTo,
        parent,
        depth: parent.depth + 1,
        distance: parent.distance + (this.automaton.distances[returnTo] ?? Infinity),
        children: new Map(),
      }
      parent.children.set(returnTo, child)
    }
    return child
  }

  #intern(ways: { state: number; stack: Stack }[], accepts: boolean): MatchState {
    const { distances } = this.automaton
    const distanceOf = (way: { state: number; stack: Stack }) =>
      (distances[way.state] ?? Infinity) + way.stack.distance
    if (ways.length > maxWays) {
      ways.sort((a, b) => distanceOf(a) - distanceOf(b))
      ways.length = maxWays
    }
    ways.sort((a, b) => a.stack.id - b.stack.id || a.state - b.state)
    let key = accepts ? 'a' : 'r'
    for (const { state, stack } of ways) key += `${state},${stack.id};`
    const known = this.#known.get(key)
    if (known !== undefined) return known
    const distance = accepts ? 0 : ways.reduce((d, way) => Math.min(d, distanceOf(way)), Infinity)
    const made = {
      states: ways.map(way => way.state),
      stacks: ways.map(way => way.stack),
      accepts,
      distance,
      next: [],
      tokens: this.#tokenSteps(ways),
    }
    const isFull = this.#known.size >= maxRemembered || this.#numWays >= maxRememberedWays
    if (isFull) this.#forget()
    this.#known.set(key, made)
    this.#numWays += ways.length
    return made
  }

  /** Starts afresh, stacks included: a text of endless depth would otherwise leave one for each level. */
  #forget(): void {
    // By the steps from the start, every state of every text would stay reachable.
    for (const { next } of [this.start, ...this.#known.values()]) next.length = 0
    this.#known.clear()
    this.#numWays = 0
    this.#bottom.children.clear()
    this.openBottom.children.clear()
  }

  #tokenSteps(ways: { state: number; stack: Stack }[]): ReadonlyMap<number, MatchState> {
    const { edgeStart, kinds, labels, targets } = this.automaton
    const after = new Map<number, { states: number[]; stacks: Stack[] }>()
    for (const { state, stack } of ways) {
      for (let e = edgeStart[state] ?? 0; e < (edgeStart[state + 1] ?? 0); e++) {
        if (kinds[e] !== edgeKind.token) continue
        const id = labels[e] ?? 0
        const { states, stacks } = after.get(id) ?? { states: [], stacks: [] }
        states.push(targets[e] ?? 0)
        stacks.push(stack)
        after.set(id, { states, stacks })
      }
    }
    if (after.size === 0) return noTokens
    const steps = new Map<number, MatchState>()
    for (const [id, { states, stacks }] of after) {
      const to = this.closure(states, stacks)
      if (to !== null) steps.set(id, to)
    }
    return steps
  }
}

const noTokens: ReadonlyMap<number, MatchState> = new Map()

/** A stack on which nothing stands. */
function bottom(): Stack {
  return {
    id: numStacks++,
    returnTo: -1,
    parent: undefined,
    depth: 0,
    distance: 0,
    children: new Map(),
  }
}

function fail(what: string): never {
  throw new Error(what)
}

import {
  type CodePoints,
  choice,
  type Expr,
  empty,
  GrammarError,
  lastCodePoint,
  rule,
  seq,
} from './expr.ts'

/** Texts that match `expr`, or with `negated` all others. */
export interface Condition {
  expr: Expr
  negated?: boolean
}

const maxNetworkStates = 20_000
const maxProductStates = 20_000

/**
 * Rules for the texts that fulfil all conditions and have a number of code points in a range.
 * @param conditions expressions without rules
 * @param spell how a class of code points is written
 * @param define adds a rule
 * @throws GrammarError when they would be too many
 */
export function intersectRegular(
  conditions: readonly Condition[],
  length: { min: number; max: number },
  spell: (points: CodePoints) => Expr,
  define: (name: string, expr: Expr) => void,
  name: string,
): Expr {
  const networks = conditions.map(({ expr }) => new PointNetwork(expr))
  const atoms = new Atoms(networks)
  const automata = networks.map(network => new SubsetAutomaton(network, atoms))
  /** Beyond this the exact length makes no difference. */
  const counted = length.max === Infinity ? length.min : length.max
  const names = new Map<string, string>()
  const pending: { name: string; states: number[]; count: number }[] = []
  const nameOf = (states: number[], count: number): string => {
    const key = `${states.join()};${count}`
    let known = names.get(key)
    if (known === undefined) {
      if (names.size >= maxProductStates) {
        throw new GrammarError(`${name}: pattern and length together are too complex`)
      }
      known = `${name} ${names.size}`
      names.set(key, known)
      pending.push({ name: known, states, count })
    }
    return known
  }
  const start = nameOf(
    automata.map(() => 0),
    0,
  )
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { states, count } = next
    const ways: Expr[] = []
    const accepts = automata.every(
      (automaton, i) => automaton.accepts(states[i] ?? 0) !== (conditions[i]?.negated ?? false),
    )
    if (accepts && count >= length.min) ways.push(empty)
    if (count < length.max) {
      const after = Math.min(count + 1, counted)
      const byTarget = new Map<string, (readonly [number, number])[]>()
      for (let atom = 0; atom < atoms.size; atom++) {
        const targets = automata.map((automaton, i) => automaton.step(states[i] ?? 0, atom))
        const isDead = targets.some(
          (t, i) => !conditions[i]?.negated && automata[i]?.isDead(t) === true,
        )
        if (isDead) continue
        const target = nameOf(targets, after)
        const ranges = byTarget.get(target) ?? []
        ranges.push(atoms.range(atom))
        byTarget.set(target, ranges)
      }
      for (const [target, ranges] of byTarget) {
        ways.push(seq(spell(joinTouching(ranges)), rule(target)))
      }
    }
    define(next.name, choice(...ways))
  }
  return rule(start)
}

/** A nondeterministic automaton over code points (Thompson's construction). */
class PointNetwork {
  readonly silent: number[][] = []
  readonly reading: { points: CodePoints; target: number }[][] = []
  readonly end: number

  constructor(expr: Expr) {
    this.end = this.#add(expr, this.#state())
  }

  #state(): number {
    if (this.silent.length >= maxNetworkStates) {
      throw new GrammarError('a pattern is too long to be combined with other conditions')
    }
    this.silent.push([])
    this.reading.push([])
    return this.silent.length - 1
  }

  #read(from: number, points: CodePoints): number {
    const target = this.#state()
    this.reading[from]?.push({ points, target })
    return target
  }

  #add(expr: Expr, from: number): number {
    switch (expr.kind) {
      case 'text':
        return Array.from(expr.text).reduce((state, char) => {
          const point = char.codePointAt(0) ?? 0
          return this.#read(state, [[point, point]])
        }, from)
      case 'class':
        return this.#read(from, expr.points)
      case 'seq':
        return expr.items.reduce((state, item) => this.#add(item, state), from)
      case 'choice': {
        const end = this.#state()
        for (const item of expr.items) this.silent[this.#add(item, from)]?.push(end)
        return end
      }
      case 'repeat': {
        let state = from
        for (let i = 0; i < expr.min; i++) state = this.#add(expr.item, state)
        const end = this.#state()
        if (expr.max === Infinity) {
          const loop = this.#state()
          this.silent[state]?.push(loop)
          this.silent[this.#add(expr.item, loop)]?.push(loop)
          this.silent[loop]?.push(end)
          return end
        }
        for (let i = expr.min; i < expr.max; i++) {
          this.silent[state]?.push(end)
          state = this.#add(expr.item, state)
        }
        this.silent[state]?.push(end)
        return end
      }
      case 'rule':
      case 'token':
        throw new Error('a regular expression has no rules')
    }
  }
}

/** The coarsest ranges of code points that no class of the networks divides. */
class Atoms {
  readonly #starts: number[]

  constructor(networks: readonly PointNetwork[]) {
    const starts = new Set([0])
    for (const { reading } of networks) {
      for (const { points } of reading.flat()) {
        for (const [low, high] of points) {
          starts.add(low)
          if (high < lastCodePoint) starts.add(high + 1)
        }
      }
    }
    this.#starts = [...starts].sort((a, b) => a - b)
  }

  get size(): number {
    return this.#starts.length
  }

  range(atom: number): readonly [number, number] {
    return [this.#starts[atom] ?? 0, (this.#starts[atom + 1] ?? lastCodePoint + 1) - 1]
  }
}

/** The deterministic automaton of a network, made state by state; state 0 is the start. */
class SubsetAutomaton {
  readonly #network: PointNetwork
  readonly #atoms: Atoms
  readonly #sets: number[][] = []
  readonly #ids = new Map<string, number>()
  readonly #steps: number[][] = []

  constructor(network: PointNetwork, atoms: Atoms) {
    this.#network = network
    this.#atoms = atoms
    this.#intern([0])
  }

  accepts(state: number): boolean {
    return this.#sets[state]?.includes(this.#network.end) === true
  }

  isDead(state: number): boolean {
    return this.#sets[state]?.length === 0
  }

  step(state: number, atom: number): number {
    const steps = this.#steps[state] ?? []
    const known = steps[atom]
    if (known !== undefined) return known
    const [low] = this.#atoms.range(atom)
    const targets: number[] = []
    for (const s of this.#sets[state] ?? []) {
      for (const { points, target } of this.#network.reading[s] ?? []) {
        if (points.some(([from, to]) => low >= from && low <= to)) targets.push(target)
      }
    }
    const to = this.#intern(targets)
    steps[atom] = to
    return to
  }

  #intern(seeds: number[]): number {
    const reached = new Set(seeds)
    for (const state of reached) {
      for (const target of this.#network.silent[state] ?? []) reached.add(target)
    }
    const set = [...reached].sort((a, b) => a - b)
    const key = set.join()
    let id = this.#ids.get(key)
    if (id === undefined) {
      id = this.#sets.length
      if (id >= maxProductStates) throw new GrammarError('a pattern is too complex')
      this.#ids.set(key, id)
      this.#sets.push(set)
      this.#steps.push([])
    }
    return id
  }
}

function joinTouching(ranges: readonly (readonly [number, number])[]): CodePoints {
  const joined: [number, number][] = []
  for (const [low, high] of ranges) {
    const last = joined.at(-1)
    if (last !== undefined && last[1] + 1 === low) last[1] = high
    else joined.push([low, high])
  }
  return joined
}

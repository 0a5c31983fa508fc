import { compareOrder, type Sequence } from './sequence.ts'

interface Owner {
  /** In order of priority and arrival. */
  readonly waiting: Sequence[]
  numForking: number
  numRunning: number
  /** Virtual time at which its latest start is paid for. */
  paidUntil: number
}

/**
 * The waiting sequences of several owners, and whose turn it is: of the best priority, the owner with the fewest running
 * sequences, then the one whose last start is longest ago. Owners that come back get nothing for the time they were away, and
 * an owner's own sequences never overtake each other. With one owner it is a queue in order of priority and arrival.
 * Turns are those of start-time fair queueing (Goyal, Vin and Cheng 1996), where every start costs one.
 */
export class FairQueue {
  readonly #owners = new Map<string, Owner>()
  /** Start tag of the latest start. */
  #virtualTime = 0
  #size = 0

  /** Sequences that wait to start, or to fork. */
  get size(): number {
    return this.#size
  }

  /** Owners with such sequences, and `owner`. */
  numContending(owner: string | undefined): number {
    const name = owner ?? ''
    let count = 1
    for (const [other, { waiting, numForking }] of this.#owners) {
      if (other !== name && waiting.length + numForking > 0) count++
    }
    return count
  }

  numWaitingOf(owner: string | undefined): number {
    const { waiting, numForking } = this.#owners.get(owner ?? '') ?? noOwner
    return waiting.length + numForking
  }

  insert(sequence: Sequence): void {
    const { waiting } = this.#ownerOf(sequence)
    insertInOrder(waiting, sequence)
    this.#size++
  }

  remove(sequence: Sequence): void {
    removeFrom(this.#ownerOf(sequence).waiting, sequence)
    this.#size--
  }

  /** A follower waits for its leader. */
  addForking(sequence: Sequence): void {
    this.#ownerOf(sequence).numForking++
    this.#size++
  }

  removeForking(sequence: Sequence): void {
    this.#ownerOf(sequence).numForking--
    this.#size--
  }

  /** Tells that a sequence runs: for the first time it costs its owner a turn. */
  started(sequence: Sequence, isFirst: boolean): void {
    const owner = this.#ownerOf(sequence)
    owner.numRunning++
    if (!isFirst) return
    this.#virtualTime = Math.max(this.#virtualTime, owner.paidUntil)
    owner.paidUntil = this.#virtualTime + 1
    for (const [name, { waiting, numForking, numRunning, paidUntil }] of this.#owners) {
      const isIdle = waiting.length + numForking + numRunning === 0
      if (isIdle && paidUntil <= this.#virtualTime) this.#owners.delete(name)
    }
  }

  stopped(sequence: Sequence): void {
    this.#ownerOf(sequence).numRunning--
  }

  /** The sequence whose turn it is; paused ones have none. */
  next(): Sequence | undefined {
    for (const sequence of this.#inOrder()) return sequence
    return undefined
  }

  /** Whether a sequence of another owner has its turn before this one, which does not wait in line. */
  isBehindOthers(sequence: Sequence): boolean {
    const first = this.next()
    if (first === undefined || nameOf(first) === nameOf(sequence)) return false
    const line = (of: Sequence) => ({ ...this.#ownerOf(of), head: of })
    return compareTurns(line(first), line(sequence), this.#virtualTime) < 0
  }

  /** Sequences that will start before this one, should all get their places one after the other. */
  position(sequence: Sequence): number {
    let count = 0
    for (const other of this.#inOrder(sequence)) {
      if (other === sequence) break
      count++
    }
    return count
  }

  *[Symbol.iterator](): Generator<Sequence> {
    for (const { waiting } of this.#owners.values()) yield* waiting
  }

  /** The order of starts from now on. @param counted takes part even when it is paused */
  *#inOrder(counted?: Sequence): Generator<Sequence> {
    let lines = Array.from(this.#owners.values(), ({ waiting, numRunning, paidUntil }) => ({
      rest: ready(waiting, counted),
      numRunning,
      paidUntil,
    })).flatMap(line => advance(line))
    let virtualTime = this.#virtualTime
    while (lines.length > 0) {
      const first = lines.reduce((a, b) => (compareTurns(b, a, virtualTime) < 0 ? b : a))
      yield first.head
      virtualTime = Math.max(virtualTime, first.paidUntil)
      const { rest, numRunning } = first
      const after = advance({ rest, numRunning: numRunning + 1, paidUntil: virtualTime + 1 })
      lines = lines.flatMap(line => (line === first ? after : line))
    }
  }

  #ownerOf(sequence: Sequence): Owner {
    const name = nameOf(sequence)
    let owner = this.#owners.get(name)
    if (owner === undefined) {
      owner = { ...noOwner, waiting: [] }
      this.#owners.set(name, owner)
    }
    return owner
  }
}

const noOwner: Omit<Owner, 'waiting'> & { readonly waiting: readonly Sequence[] } = {
  waiting: [],
  numForking: 0,
  numRunning: 0,
  paidUntil: 0,
}

interface Turn {
  head: Sequence
  numRunning: number
  paidUntil: number
}

function* ready(waiting: Sequence[], counted: Sequence | undefined): Generator<Sequence> {
  for (const sequence of waiting) if (!sequence.paused || sequence === counted) yield sequence
}

function nameOf({ options }: Sequence): string {
  return options.owner ?? ''
}

function advance<L extends { rest: Iterator<Sequence> }>(line: L): (L & { head: Sequence })[] {
  const { done, value } = line.rest.next()
  return done ? [] : [{ ...line, head: value }]
}

function compareTurns(a: Turn, b: Turn, virtualTime: number): number {
  return (
    a.head.priority - b.head.priority ||
    a.numRunning - b.numRunning ||
    Math.max(virtualTime, a.paidUntil) - Math.max(virtualTime, b.paidUntil) ||
    a.head.arrival - b.head.arrival
  )
}

/** Keeps a list in order of priority and arrival. */
export function insertInOrder(list: Sequence[], sequence: Sequence): void {
  let at = list.length
  for (let other = list[at - 1]; other !== undefined; other = list[at - 1]) {
    if (compareOrder(other, sequence) <= 0) break
    at--
  }
  list.splice(at, 0, sequence)
}

/** @throws when the list does not hold the sequence */
export function removeFrom(list: Sequence[], sequence: Sequence): void {
  const at = list.indexOf(sequence)
  if (at < 0) throw new Error('the sequence is not in its list')
  list.splice(at, 1)
}

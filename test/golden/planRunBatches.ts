import type { KvGroup } from '../../runtime/graph/kvGroups.ts'

/** A sequence that grows: its pages, in the words of native/tools/plan_run_files.h. */
class GrowingSequence {
  readonly #book: PageBook
  readonly #pages: number[][]
  #length = 0

  constructor(book: PageBook) {
    this.#book = book
    this.#pages = book.groups.map(() => [])
  }

  /** A line that runs `count` more tokens and, with `logits`, keeps those of the last one, or of all. */
  next(count: number, logits: 'none' | 'last' | 'all' = 'last'): string {
    const position = this.#length
    this.#length += count
    const words = [`position=${position}`, `tokens=${this.#book.tokens(count).join(',')}`]
    this.#book.groups.forEach(({ pageTokens, window }, group) => {
      const pages = this.#pages[group] ?? []
      while (pages.length * pageTokens < this.#length) pages.push(this.#book.newPage())
      const firstVisible = window === undefined ? 0 : position - window + 1
      const seen = pages.map((page, i) => ((i + 1) * pageTokens <= firstVisible ? -1 : page))
      words.push(`pages=${seen.join(',')}`)
    })
    const rows = Array.from({ length: count }, (_, i) => i)
    if (logits !== 'none') {
      words.push(`logits=${(logits === 'all' ? rows : rows.slice(-1)).join(',')}`)
    }
    return `sequence ${words.join(' ')}`
  }
}

class PageBook {
  readonly groups: readonly KvGroup[]
  readonly #vocabSize: number
  #pages = 0
  #state = 1

  constructor(groups: readonly KvGroup[], vocabSize: number) {
    this.groups = groups
    this.#vocabSize = vocabSize
  }

  newPage(): number {
    return this.#pages++
  }

  /** Pseudo-random ids, the same in every run. Source: minimal standard generator, Park and Miller 1988. */
  tokens(count: number): number[] {
    return Array.from({ length: count }, () => {
      this.#state = (this.#state * 48271) % 2147483647
      return this.#state % this.#vocabSize
    })
  }
}

/**
 * Batches that take every path of a backend, as plan_run reads them: prompts shorter and longer than each tile, prompts in chunks, mixed
 * with single tokens, many sequences, and steps of one shape again and again (graphs).
 * @param whole the model takes whole sequences only
 */
export function planRunBatches(
  groups: readonly KvGroup[],
  vocabSize: number,
  whole: boolean,
): string {
  const book = new PageBook(groups, vocabSize)
  const open = (count: number) => Array.from({ length: count }, () => new GrowingSequence(book))
  const prompts = (...lengths: number[]) => {
    const sequences = open(lengths.length)
    return lengths.map((length, i) => sequences[i]?.next(length) ?? '')
  }
  const steps: string[][] = [[37], [1, 20, 3], [150, 2], [100], [400]].map(lengths =>
    prompts(...lengths),
  )
  for (let i = 0; i < 3; i++) steps.push(prompts(1, 1, 2))
  if (!whole) {
    const [a, b, c] = [
      new GrowingSequence(book),
      new GrowingSequence(book),
      new GrowingSequence(book),
    ]
    steps.push([a.next(37, 'all')], [a.next(1), b.next(20), c.next(3, 'none')])
    steps.push([c.next(9)], [a.next(150), b.next(2)], [c.next(300)])
    for (let i = 0; i < 3; i++) steps.push([a.next(1)], [a.next(1), b.next(1), c.next(1)])
    const many = open(40)
    for (const count of [2, 1, 1]) steps.push(many.map(sequence => sequence.next(count)))
  }
  return steps.map(lines => `${lines.join('\n')}\nrun\n`).join('')
}

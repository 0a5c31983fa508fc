import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { expect, test } from 'vitest'

/** Folders of edge/ with those that their files import from, types included; files of edge/ itself belong to none. */
function imports(): Map<string, Set<string>> {
  const graph = new Map<string, Set<string>>()
  for (const file of globSync('edge/*/*.ts', { exclude: ['**/*.test.ts'] })) {
    const folder = dirname(file)
    const targets = graph.get(folder) ?? new Set()
    graph.set(folder, targets)
    for (const [, path = ''] of readFileSync(file, 'utf8').matchAll(/ from '(\.[^']+)'/g)) {
      const target = dirname(normalize(join(folder, path)))
      if (target !== folder && target !== 'edge') targets.add(target)
    }
  }
  return graph
}

test('the folders of edge/ form layers', () => {
  const left = imports()
  expect(left.size).toBeGreaterThan(8)
  for (;;) {
    const lowest = [...left.keys()].filter(folder =>
      [...(left.get(folder) ?? [])].every(target => !left.has(target)),
    )
    if (lowest.length === 0) break
    for (const folder of lowest) left.delete(folder)
  }
  // What is left has a circle in it.
  expect(Object.fromEntries(left)).toEqual({})
})

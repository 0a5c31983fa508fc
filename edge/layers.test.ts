import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { expect, test } from 'vitest'

/** Folders of edge/, and files of edge/ itself, with those that they import from, types included. */
function imports(): Map<string, Set<string>> {
  const graph = new Map<string, Set<string>>()
  for (const file of globSync('edge/{*,*/*}.ts', { exclude: ['**/*.test.ts'] })) {
    const folder = dirname(file)
    const targets = graph.get(roomOf(file)) ?? new Set()
    graph.set(roomOf(file), targets)
    for (const [, path = ''] of readFileSync(file, 'utf8').matchAll(/ from '(\.[^']+)'/g)) {
      const target = roomOf(normalize(join(folder, path)))
      if (target !== folder) targets.add(target)
    }
  }
  return graph
}

function roomOf(file: string): string {
  return dirname(file) === 'edge' ? file : dirname(file)
}

test('the folders and files of edge/ form layers', () => {
  const left = imports()
  expect([...left.keys()]).toEqual(expect.arrayContaining(['edge/app.ts', 'edge/openai']))
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

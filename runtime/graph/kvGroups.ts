/** What a layer keeps: all keys, those of a window, or nothing because it reads another layer's. */
export type KvSpec =
  | { kind: 'full' }
  | { kind: 'sliding'; window: number }
  | { kind: 'shared'; layer: number }

export const full: KvSpec = { kind: 'full' }
/** Key j is visible to query i when 0 <= i - j < window. */
export function sliding(window: number): KvSpec {
  return { kind: 'sliding', window }
}
/** Reads the keys and values of an earlier layer and stores none. */
export function sharedWith(layer: number): KvSpec {
  return { kind: 'shared', layer }
}

/** What a layer that owns storage caches. */
export interface KvLayer {
  readonly layer: number
  readonly spec: Exclude<KvSpec, { kind: 'shared' }>
  readonly kvHeads: number
  readonly headDim: number
}

export type KvType = 'f32' | 'f16'
const elementBytes: Record<KvType, number> = { f32: 4, f16: 2 }

/** Layers that cache alike: one page table, `pageTokens` tokens of all of them in a page. */
export interface KvGroup {
  kind: 'full' | 'sliding'
  /** Tokens a query sees, itself included; only of a sliding group. */
  window?: number
  kvHeads: number
  headDim: number
  /** Layers that own storage. */
  layers: number
  /** A power of two, at least 16. */
  pageTokens: number
}

export interface KvPlacement {
  groups: KvGroup[]
  /** Model layer to its group and its place among the layers of that group. */
  places: Map<number, { group: number; layer: number }>
}

const defaultPageTokens = 32

/**
 * Sorts layers into groups and gives each the page size in tokens that makes the bytes of their pages come closest: the
 * group with most bytes a token gets `basePageTokens`, the others the largest power of two that fits into such a page.
 */
export function planKvGroups(
  layers: readonly KvLayer[],
  basePageTokens = defaultPageTokens,
): KvPlacement {
  if (basePageTokens < 16 || (basePageTokens & (basePageTokens - 1)) !== 0) {
    throw new RangeError(`page of ${basePageTokens} tokens: must be a power of two, at least 16`)
  }
  const groups: KvGroup[] = []
  const indexByKey = new Map<string, number>()
  const places: KvPlacement['places'] = new Map()
  for (const { layer, spec, kvHeads, headDim } of layers) {
    const window = spec.kind === 'sliding' ? spec.window : undefined
    const key = `${window} ${kvHeads} ${headDim}`
    const index = indexByKey.get(key) ?? groups.length
    const group = groups[index] ?? {
      kind: spec.kind,
      ...(window === undefined ? {} : { window }),
      kvHeads,
      headDim,
      layers: 0,
      pageTokens: basePageTokens,
    }
    groups[index] = group
    indexByKey.set(key, index)
    places.set(layer, { group: index, layer: group.layers++ })
  }
  const largest = Math.max(...groups.map(elementsPerToken))
  for (const group of groups) {
    const fits = Math.floor((largest * basePageTokens) / elementsPerToken(group))
    group.pageTokens = 2 ** Math.floor(Math.log2(fits))
  }
  return { groups, places }
}

/** Bytes of a page that any of the groups can use, whole cache lines of 64. */
export function pageBytes(groups: readonly KvGroup[], type: KvType): number {
  const elements = groups.map(group => elementsPerToken(group) * group.pageTokens)
  return Math.ceil((Math.max(...elements) * elementBytes[type]) / 64) * 64
}

/** Keys and values of one token in all layers of the group. */
function elementsPerToken(group: KvGroup): number {
  return 2 * group.layers * group.kvHeads * group.headDim
}

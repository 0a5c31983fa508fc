/** Storage of one ggml tensor type: `blockSize` values take `blockBytes` bytes; rows hold whole blocks. */
export interface GgmlType {
  readonly id: number
  readonly blockSize: number
  readonly blockBytes: number
}

/**
 * Tensor types that can be loaded. Ids and block layouts are the file format of ggml (`ggml.h` `enum ggml_type`,
 * `ggml-common.h` block structs).
 */
export const ggmlTypes = {
  F32: { id: 0, blockSize: 1, blockBytes: 4 },
  F16: { id: 1, blockSize: 1, blockBytes: 2 },
  Q4_0: { id: 2, blockSize: 32, blockBytes: 18 },
  Q4_1: { id: 3, blockSize: 32, blockBytes: 20 },
  Q5_0: { id: 6, blockSize: 32, blockBytes: 22 },
  Q5_1: { id: 7, blockSize: 32, blockBytes: 24 },
  Q8_0: { id: 8, blockSize: 32, blockBytes: 34 },
  Q2_K: { id: 10, blockSize: 256, blockBytes: 84 },
  Q3_K: { id: 11, blockSize: 256, blockBytes: 110 },
  Q4_K: { id: 12, blockSize: 256, blockBytes: 144 },
  Q5_K: { id: 13, blockSize: 256, blockBytes: 176 },
  Q6_K: { id: 14, blockSize: 256, blockBytes: 210 },
  IQ4_NL: { id: 20, blockSize: 32, blockBytes: 18 },
  IQ4_XS: { id: 23, blockSize: 256, blockBytes: 136 },
  BF16: { id: 30, blockSize: 1, blockBytes: 2 },
} as const satisfies Record<string, GgmlType>

export type GgmlTypeName = keyof typeof ggmlTypes

const namesById = new Map<number, GgmlTypeName>(
  (Object.keys(ggmlTypes) as GgmlTypeName[]).map(name => [ggmlTypes[name].id, name]),
)

/** Types that exist in ggml, now or once, but have no kernels here: known by name so that an error can say which. */
const unsupportedNames = new Map<number, string>([
  [4, 'Q4_2'],
  [5, 'Q4_3'],
  [9, 'Q8_1'],
  [15, 'Q8_K'],
  [16, 'IQ2_XXS'],
  [17, 'IQ2_XS'],
  [18, 'IQ3_XXS'],
  [19, 'IQ1_S'],
  [21, 'IQ3_S'],
  [22, 'IQ2_S'],
  [24, 'I8'],
  [25, 'I16'],
  [26, 'I32'],
  [27, 'I64'],
  [28, 'F64'],
  [29, 'IQ1_M'],
  [31, 'Q4_0_4_4'],
  [32, 'Q4_0_4_8'],
  [33, 'Q4_0_8_8'],
  [34, 'TQ1_0'],
  [35, 'TQ2_0'],
  [36, 'IQ4_NL_4_4'],
  [37, 'IQ4_NL_4_8'],
  [38, 'IQ4_NL_8_8'],
  [39, 'MXFP4'],
  [40, 'NVFP4'],
  [41, 'Q1_0'],
])

/** Name of a loadable type id, or undefined. */
export function ggmlTypeName(id: number): GgmlTypeName | undefined {
  return namesById.get(id)
}

/** How an error should call a type id that `ggmlTypeName` does not know. */
export function describeUnsupportedGgmlType(id: number): string {
  const name = unsupportedNames.get(id)
  return name === undefined ? `unknown type id ${id}` : `type ${name}, which is not supported`
}

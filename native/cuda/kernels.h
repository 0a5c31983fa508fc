// The C border between the CUDA backend's host code, which every build has, and mistralrs_cuda.so, which holds all that needs
// nvcc: kernels with their launchers, and the few calls of the CUDA runtime the host makes. The library exports only
// `mistralrs_cuda_kernels`, links the runtime statically and finds the driver by itself. No STL crosses the border.
//
// Functions return a cudaError_t as int, 0 when all is well; launches are asynchronous on `stream`. Pointers are the device's
// unless said. Shapes: T rows (tokens or logit rows), cols inputs and rows outputs of a weight. Launchers that can meet a
// shape they do not support refuse it with cudaErrorInvalidValue; the host checks first and says which op it was.
#pragma once
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { kCudaPanelRows = 16 };     // weight rows of a panel: the M of one tensor-core instruction
enum { kCudaChunkCols = 128 };    // columns of a panel that a warp takes at a time: 32 for each lane of a quad
enum { kCudaTokenTile = 8 };      // tokens of a tile: the N of one tensor-core instruction
enum { kCudaMaxSmallTokens = 64 };// most tokens of linearSmall's tile
enum { kCudaMaxSegments = 6 };    // stacked weights of one launch
enum { kCudaAttentionRows = 16 }; // (query, head) pairs of one warp of attentionTiles
enum { kCudaMaxPartials = 512 };  // of one run
enum { kCudaRowBlock = 128 };     // logits that have one maximum and sum: kRowBlock of plan/row_passes.h

typedef struct {
  char name[256];
  int32_t major, minor;           // compute capability
  int32_t multiprocessors;
  int64_t totalBytes, freeBytes;
} CudaDeviceInfo;

// Rows of floats in device memory.
typedef struct {
  float* data;
  int64_t stride;  // floats from row to row
} CudaRows;

// A matrix in device memory. F32 lies as it is stored; every other type in panels of 16 rows (kernels/panel.cuh), missing rows
// and columns zero. type is the ggml id (plan/weights.h DType).
typedef struct {
  const uint8_t* data;
  int32_t type, rows, cols;
} CudaWeight;

// out[t * outStride + outColumn + r] = (x[t] . weight[r] + bias[r]) + residual[t * residualStride + outColumn + r]
typedef struct {
  CudaWeight weight;
  const float* bias;  // [rows] or null
  int32_t outColumn;
} CudaSegment;

// What `linear` ops multiply, and the op before them that makes it, if that is taken along (fused_operand.h).
typedef struct {
  CudaRows in;
  int32_t tokens, cols;
  const float* normWeight;    // x, or rms_norm(x) when eps > 0; null: without weight
  float eps, offset;
  // x itself: what lies in `in`, or
  CudaRows up;                // unless null: act(in) * up; or
  int32_t act;
  CudaRows sum;               // unless null: (rms_norm(in) + residual) * factor, which is stored here too; not where residual lies
  CudaRows residual;
  const float *innerWeight, *factor;  // may be null
  float innerEps, innerOffset;
} CudaOperand;

// Weights of one type and one number of columns over the same activations. With `gated` there are two segments of equal rows,
// gate and up, and out = act(x . gate) * (x . up), without bias and residual.
typedef struct {
  CudaSegment segments[kCudaMaxSegments];
  int32_t numSegments;
  int32_t gated, act;       // act: Act of plan/plan.h
  int32_t tokens, cols;
  const void* x;            // what prepareRows wrote, in the layout of the launcher
  const float* xScale;      // [T]
  int32_t ownOperand;       // linearSmall prepares `operand` itself, in place of x and xScale (hasOwnOperand)
  CudaOperand operand;
  CudaRows out, residual;   // residual.data may be null
  int32_t warps;            // linearSmall: warps that share the columns of a panel
  int32_t tokenTile;        // linearLarge: tokens of a block, 128 or 256
} CudaLinear;

// Keys and values of one KV group and layer. Of a page, this layer's part begins at layerOffset bytes and holds for each kv head
// keys [pageTokens][headDim], then values likewise. Element type f32 or f16.
typedef struct {
  uint8_t* pool;
  const int32_t* pageStart;  // [B + 1]
  const int32_t* pages;
  int64_t pageBytes, layerOffset;
  int32_t pageTokens, kvHeads, headDim;
  int32_t f16;
} CudaKvView;

// Part of a row: `heads` heads of the cache's head_dim, normed (unless eps is 0) in place.
typedef struct {
  CudaRows in, out;
  const float* normWeight;
  float eps, offset;
  int32_t heads;
} CudaHeads;

// norm_rope or rope of q and k, rms_norm of v, and kv_write. rope: table [T][2][dim / 2] of fillRope.
typedef struct {
  CudaHeads q, k, v;
  const float *qTable, *kTable;
  int32_t qDim, kDim;
  CudaKvView kv;
  const int32_t *positions, *sequenceOf;  // [T]
  int32_t tokens;
} CudaQkv;

// Work of one block of attentionTiles: for each kv head, rows [row, row + 16 * warps) of the sequence's (query, head) pairs over
// keys [keyBegin, keyEnd). Pair r is query r / groupHeads of the batch's part of the sequence and head r % groupHeads.
typedef struct {
  int32_t sequence;
  int32_t firstToken;        // the sequence's first row of the batch
  int32_t firstPosition;     // and its position
  int32_t numRows;           // all pairs: queries * groupHeads
  int32_t row;
  int32_t keyBegin, keyEnd;  // equal: nothing to do, but the partial is written
  int32_t partial;           // < 0: the result itself
} CudaAttentionItem;

// A run of partials of the same rows.
typedef struct {
  int32_t firstToken, numRows, row;
  int32_t firstPartial, numPartials;
} CudaAttentionMerge;

typedef struct {
  CudaKvView kv;
  CudaRows q, out;
  const int32_t *positions, *sequenceOf;  // [T]
  const int32_t* kvLength;                // [B]
  int32_t tokens, groupHeads;
  int32_t window;                         // 0: full
  int32_t ahead;                          // keys after its own position that a query sees: 0 when causal
  float scale, softcap;
  const CudaAttentionItem* items;
  int32_t numItems, warps;                // warps 1 or 4
  const CudaAttentionMerge* merges;
  int32_t numMerges, mergeRows;           // mergeRows: most rows of a merge
  float* partials;                        // by partial and kv head: attentionPartialFloats
} CudaAttention;

typedef struct {
  // ---- runtime (runtime.cu) ----
  const char* (*errorText)(int32_t error);
  // Whether after this error every later call of the process fails too.
  int32_t (*isFatal)(int32_t error);
  int32_t (*deviceCount)(int32_t* count);
  int32_t (*deviceInfo)(int32_t device, CudaDeviceInfo* info);
  int32_t (*setDevice)(int32_t device);
  int32_t (*allocate)(void** memory, int64_t bytes);
  int32_t (*release)(void* memory);
  int32_t (*allocatePinned)(void** memory, int64_t bytes);  // host memory
  int32_t (*releasePinned)(void* memory);
  int32_t (*copy)(void* to, const void* from, int64_t bytes, void* stream);  // between any two memories
  int32_t (*fill)(void* memory, int32_t byte, int64_t bytes, void* stream);
  int32_t (*createStream)(void** stream);
  int32_t (*destroyStream)(void* stream);
  int32_t (*synchronize)(void* stream);
  // Between the two, launches on the stream are recorded instead of run. endCapture gives null when one of them failed.
  int32_t (*beginCapture)(void* stream);
  int32_t (*endCapture)(void* stream, void** graph);
  int32_t (*launchGraph)(void* graph, void* stream);
  int32_t (*destroyGraph)(void* graph);
  // Whether linearLarge runs on the current device (compute capability 9.0).
  int32_t (*hasLarge)(void);

  // ---- weights (pack.cu) ----
  // Bytes of a matrix as CudaWeight::data; a multiple of 256.
  int64_t (*weightBytes)(int32_t type, int64_t rows, int64_t cols);
  // Packs rows [firstRow, firstRow + numRows) of a matrix; `blocks` are these rows in ggml's layout. Sets *badRow to the lowest
  // row that holds a NaN, an infinity or (BF16) a value beyond the range of F16. firstRow is a multiple of 16.
  int32_t (*pack)(CudaWeight to, const uint8_t* blocks, int32_t firstRow, int32_t numRows, int32_t* badRow, void* stream);

  // ---- row-wise (elementwise.cu, norm_rope.cu) ----
  // runs[i] holds the rows from firstRows[i] on, in ascending order.
  int32_t (*embed)(const CudaWeight* runs, const int32_t* firstRows, int32_t numRuns, const int32_t* tokens, int32_t rows, float scale,
                   CudaRows out, void* stream);
  int32_t (*add)(CudaRows a, CudaRows b, float scale, int32_t rows, int32_t width, CudaRows out, void* stream);
  int32_t (*scale)(CudaRows in, const float* factor, int32_t rows, int32_t width, CudaRows out, void* stream);
  int32_t (*actMul)(CudaRows gate, CudaRows up, int32_t act, int32_t rows, int32_t width, CudaRows out, void* stream);
  int32_t (*softcap)(CudaRows in, float cap, int32_t rows, int32_t width, CudaRows out, void* stream);
  int32_t (*selectRows)(CudaRows in, const int32_t* rowIds, int32_t rows, int32_t width, CudaRows out, void* stream);
  // The mean of the rows of the sequence that owns row rowIds[i].
  int32_t (*meanRows)(CudaRows in, const int32_t* rowIds, const int32_t* sequenceOf, const int32_t* queryStart, int32_t rows, int32_t width,
                      CudaRows out, void* stream);
  // weight, residual.data and factor (of all) may be null; out may be in or the residual.
  int32_t (*rmsNorm)(CudaRows in, const float* weight, float eps, float offset, int32_t heads, int32_t dim, CudaRows residual,
                     const float* factor, int32_t rows, CudaRows out, void* stream);
  // table [T][2][dim / 2]: cosines, then sines, times `factor`, of position * invFreq in float32.
  int32_t (*fillRope)(const float* invFreq, int32_t dim, float factor, const int32_t* positions, int32_t rows, float* table, void* stream);
  // Norm (unless eps is 0), then rotation of the first `dim` columns of each head. out may be in.
  int32_t (*normRope)(CudaRows in, const float* weight, float eps, float offset, int32_t heads, int32_t headDim, const float* table,
                      int32_t dim, int32_t rows, CudaRows out, void* stream);

  // ---- logits (row_stats.cu) ----
  // Of each row of `width` floats, in blocks of kCudaRowBlock: stats [rows][2][blocks], their maxima and their sums of
  // exp(value - the row's maximum), with the bits of plan/row_passes.h.
  int32_t (*rowStats)(CudaRows in, int32_t rows, int32_t width, float* stats, void* stream);

  // ---- several ops of docs/plan.md in one launch (store_qkv.cu) ----
  int32_t (*storeQkv)(const CudaQkv* qkv, void* stream);

  // ---- linear (prepare_rows.cu, linear_*.cu) ----
  // Bytes of prepared rows, whichever the layout.
  int64_t (*preparedBytes)(int64_t tokens, int64_t cols);
  // Norm and rounding to float16 with a power of two for each row. tokenTile 0: the layout of linearSmall, else of linearLarge.
  int32_t (*prepareRows)(const CudaOperand* operand, int32_t tokenTile, void* x, float* xScale, void* stream);
  // Whether a block of linearSmall can prepare the operand itself: few tokens, in aligned rows that fit its registers and shared memory.
  int32_t (*hasOwnOperand)(const CudaOperand* operand, int32_t warps);
  int32_t (*linearSmall)(const CudaLinear* linear, void* stream);
  // linearSmall with its own operand, for quantized weights of this type and devices with a bulk copy engine (compute capability 9.0).
  int32_t (*hasStream)(const CudaOperand* operand, int32_t type);
  int32_t (*linearStream)(const CudaLinear* linear, void* stream);
  int32_t (*linearLarge)(const CudaLinear* linear, void* stream);
  // Float32 weights over float32 rows; `in` takes the place of linear->x. Not gated.
  int32_t (*linearF32)(const CudaLinear* linear, CudaRows in, void* stream);

  // ---- attention (attention_tiles.cu, attention_rows.cu) ----
  int32_t (*kvWrite)(const CudaKvView* kv, CudaRows k, CudaRows v, const int32_t* positions, const int32_t* sequenceOf, int32_t rows,
                     void* stream);
  // Whether attentionTiles takes this shape: f16 keys and values and a head of a multiple of 8 up to 512.
  int32_t (*hasTiles)(int32_t f16, int32_t headDim);
  int64_t (*attentionPartialFloats)(int32_t headDim);  // of one kv head
  // scale must be above 0.
  int32_t (*attentionTiles)(const CudaAttention* attention, void* stream);
  // Any shape up to a head of 1024, in float32: one block for each token and head. Uses neither items nor partials.
  int32_t (*attentionRows)(const CudaAttention* attention, void* stream);
} CudaKernelTable;

typedef const CudaKernelTable* (*CudaKernelTableFn)(void);

#ifdef __cplusplus
}
#endif

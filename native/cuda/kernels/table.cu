// The library's one export.
#include "cuda/kernels/runtime.cuh"
#include "cuda/kernels/table.cuh"

extern "C" __attribute__((visibility("default"))) const CudaKernelTable* mistralrs_cuda_kernels() {
  using namespace mistralrs::cuda;
  static const CudaKernelTable table = {
      .errorText = errorText,
      .isFatal = isFatal,
      .deviceCount = deviceCount,
      .deviceInfo = deviceInfo,
      .setDevice = setDevice,
      .allocate = allocate,
      .release = release,
      .allocatePinned = allocatePinned,
      .releasePinned = releasePinned,
      .copy = copy,
      .fill = fill,
      .createStream = createStream,
      .destroyStream = destroyStream,
      .synchronize = synchronize,
      .beginCapture = beginCapture,
      .endCapture = endCapture,
      .launchGraph = launchGraph,
      .destroyGraph = destroyGraph,
      .hasLarge = hasLinearLarge,
      .weightBytes = weightBytes,
      .pack = launchPack,
      .embed = launchEmbed,
      .add = launchAdd,
      .scale = launchScale,
      .actMul = launchActMul,
      .softcap = launchSoftcap,
      .selectRows = launchSelectRows,
      .meanRows = launchMeanRows,
      .rmsNorm = launchRmsNorm,
      .fillRope = launchFillRope,
      .normRope = launchNormRope,
      .rowStats = launchRowStats,
      .storeQkv = launchStoreQkv,
      .preparedBytes = preparedBytes,
      .prepareRows = launchPrepareRows,
      .hasOwnOperand = hasOwnOperand,
      .linearSmall = launchLinearSmall,
      .linearLarge = launchLinearLarge,
      .linearF32 = launchLinearF32,
      .kvWrite = launchKvWrite,
      .hasTiles = hasAttentionTiles,
      .attentionPartialFloats = attentionPartialFloats,
      .attentionTiles = launchAttentionTiles,
      .attentionRows = launchAttentionRows,
  };
  return &table;
}

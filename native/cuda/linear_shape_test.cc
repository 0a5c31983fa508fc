#include "cuda/linear_shape.h"

#include "testing/testing.h"

using namespace mistralrs::cuda;

TEST(linear_warps_never_outnumber_their_chunks) {
  for (int64_t panels : {1, 64, 1000, 10000})
    for (int64_t cols : {1, 128, 129, 576, 4096, 14336})
      for (int tokens : {1, 8, 33, 64})
        for (int sides : {1, 2}) {
          const int warps = smallWarps(panels, cols, tokens, 132, sides);
          const int64_t chunks = (cols + kCudaChunkCols - 1) / kCudaChunkCols;
          CHECK(warps >= sides && warps % sides == 0);
          CHECK(warps / sides <= chunks);
          CHECK(warps <= (tokens > 32 ? 8 : 16));
        }
}

TEST(linear_of_few_panels_takes_more_warps_for_each) {
  CHECK_EQ(smallWarps(64, 4096, 1, 132, 1), 16);
  CHECK_EQ(smallWarps(256, 4096, 1, 132, 1), 8);
  CHECK_EQ(smallWarps(9496, 1024, 1, 132, 1), 4);
  CHECK_EQ(smallWarps(64, 128, 1, 132, 1), 1);
}

TEST(linear_of_many_tokens_takes_large_tiles_when_they_fill_the_device) {
  const auto tile = [](int tokens, int64_t rows, bool gated) { return largeTile(tokens, largeRowBlocks(rows, gated), 132, true); };
  CHECK_EQ(tile(64, 100000, false), 0);
  CHECK_EQ(tile(128, 1024, false), 0);
  CHECK_EQ(tile(128, 14336, false), 128);
  CHECK_EQ(tile(128, 14336, true), 128);
  CHECK_EQ(tile(512, 1024, false), 128);
  CHECK_EQ(tile(4096, 4096, false), 256);
  CHECK_EQ(largeTile(4096, 32, 132, false), 0);
}

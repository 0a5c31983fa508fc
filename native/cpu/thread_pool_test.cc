#include "cpu/thread_pool.h"

#include <atomic>
#include <stdexcept>
#include <vector>

#include "testing/testing.h"

using namespace mistralrs;

TEST(pool_barriers_order_what_threads_write) {
  for (int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    std::vector<int> values(threads);
    std::atomic<int> wrong{0};
    constexpr int kRounds = 200;
    for (int repeat = 0; repeat < 3; ++repeat) {
      pool.run([&](int thread) {
        for (int round = 0; round < kRounds; ++round) {
          values[thread] = round;
          pool.barrier();
          for (int value : values) wrong += value != round;
          pool.barrier();
        }
      });
    }
    CHECK_EQ(wrong.load(), 0);
  }
}

TEST(pool_runs_each_item_once) {
  for (int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    for (int items : {0, 1, 2, 100}) {
      std::vector<std::atomic<int>> runs(items);
      pool.parallel(items, [&](int item) { ++runs[item]; });
      for (const std::atomic<int>& count : runs) CHECK_EQ(count.load(), 1);
    }
  }
}

TEST(pool_rethrows_what_an_item_throws) {
  ThreadPool pool(3);
  CHECK_ERROR("io", "item 7", pool.parallel(50, [](int item) {
    if (item == 7) throw Error("io", "item 7");
  }));
  std::atomic<int> after{0};
  pool.parallel(10, [&](int) { ++after; });
  CHECK_EQ(after.load(), 10);
}

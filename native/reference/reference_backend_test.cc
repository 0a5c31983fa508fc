#include <atomic>

#include "reference/parallel.h"
#include "reference/small_plan_test.h"

using namespace mistralrs;
using namespace mistralrs::testing;

namespace {

struct Doubling : SmallPlan {
  View x, y;
  Doubling() {
    x = input(2, {1, 2, 3, 4});
    y = buffer(2);
    op({.kind = OpKind::kAdd, .in = x, .in2 = x, .out = y});
    op({.kind = OpKind::kAdd, .in = y, .in2 = y, .out = x});
  }
};

}  // namespace

TEST(forward_stops_after_the_last_op_asked_for) {
  const Doubling p;
  const auto backend = p.load();
  const std::atomic<bool> interrupt{false};
  CHECK(backend->forward(oneSequence(2, 0), 1, interrupt));
  CHECK_ALL_NEAR(backend->readBuffer(p.x.buffer), 0, 1, 2, 3, 4);
  CHECK_ALL_NEAR(backend->readBuffer(p.y.buffer), 0, 2, 4, 6, 8);
  CHECK(backend->forward(oneSequence(2, 0), 99, interrupt));
  CHECK_ALL_NEAR(backend->readBuffer(p.x.buffer), 0, 4, 8, 12, 16);
  CHECK(backend->forward(oneSequence(1, 0, {}, 1), 0, interrupt));
  CHECK_ALL_NEAR(backend->readBuffer(p.x.buffer), 0, 3, 4);
  CHECK(std::isnan(backend->readBuffer(p.y.buffer)[0]));  // poisoned before every forward
  CHECK_EQ(std::string(backend->isa()), "reference");
}

TEST(forward_stops_when_interrupted) {
  const Doubling p;
  const auto backend = p.load();
  const std::atomic<bool> interrupt{true};
  CHECK(!backend->forward(oneSequence(2, 0), 99, interrupt));
  CHECK(std::isnan(backend->readBuffer(p.x.buffer)[0]));
}

TEST(parallel_takes_every_item_once_and_passes_errors_on) {
  for (const int threads : {1, 2, 5}) {
    std::vector<std::atomic<int>> taken(100);
    reference::parallelFor(threads, 100, [&](int64_t item) { ++taken[item]; });
    for (const std::atomic<int>& count : taken) CHECK_EQ(count.load(), 1);
    CHECK_ERROR("internal", "item 7", reference::parallelFor(threads, 100, [](int64_t item) {
      if (item == 7) throw Error("internal", "item 7");
    }));
  }
  std::atomic<int> sum{0};
  Doubling().load()->parallel(4, [&](int item) { sum += item; });
  CHECK_EQ(sum.load(), 6);
}

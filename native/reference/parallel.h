// The one parallel loop of the reference: results do not depend on it, because every item writes places of its own.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <future>
#include <vector>

namespace mistralrs::reference {

// fn(item) for items [0, items) on up to `threads` threads, this one included. Rethrows an exception of fn.
inline void parallelFor(int threads, int64_t items, const std::function<void(int64_t item)>& fn) {
  std::atomic<int64_t> next{0};
  const auto work = [&] {
    for (int64_t item; (item = next.fetch_add(1, std::memory_order_relaxed)) < items;) fn(item);
  };
  std::vector<std::future<void>> helpers;  // destroyed first: waits for threads that use the variables above
  for (int64_t i = 1; i < std::min<int64_t>(threads, items); ++i) helpers.push_back(std::async(std::launch::async, work));
  work();
  for (std::future<void>& helper : helpers) helper.get();
}

}  // namespace mistralrs::reference

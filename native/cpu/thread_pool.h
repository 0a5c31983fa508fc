// A fixed set of threads that execute one function together, with barriers inside: a whole forward pass is one `run`.
//
// Waiting spins for a few microseconds (ops of a small model take about as long), then yields, so that the event loop gets its
// turn on a machine with as many compute threads as cores, then sleeps in the kernel.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

namespace mistralrs {

class ThreadPool {
 public:
  // Starts threads - 1 threads; whoever calls `run` is thread 0.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return size_; }

  // fn(thread) on every thread; returns when all are done. Not reentrant; fn must not throw.
  void run(const std::function<void(int thread)>& fn);

  // Inside `run`: returns once every thread has arrived. Every thread must pass the same number of barriers.
  void barrier();

  // fn(item) for items [0, items), each taken by the next free thread. The first exception is rethrown here; items not yet
  // taken are then skipped. Outside `run`.
  void parallel(int items, const std::function<void(int item)>& fn);

 private:
  void work(int thread);
  void wait(const std::atomic<uint32_t>& value, uint32_t old) const;

  const int size_;
  int spins_;
  alignas(64) std::atomic<uint32_t> job_{0};  // counts runs; bumped to start one
  const std::function<void(int)>* fn_ = nullptr;
  bool stop_ = false;
  alignas(64) std::atomic<int> arrived_{0};
  alignas(64) std::atomic<uint32_t> generation_{0};  // counts barriers passed
  std::vector<std::thread> threads_;
};

}  // namespace mistralrs

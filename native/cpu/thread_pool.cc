#include "cpu/thread_pool.h"

#include <sched.h>

#include <chrono>
#include <exception>
#include <mutex>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace mistralrs {
namespace {

constexpr int kSpins = 256;                                  // 5 to 10 us, by the machine's pause
constexpr auto kYielding = std::chrono::microseconds(100);  // a wake-up from sleep costs about as much

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// Cores this process may run on.
int availableCores() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
  return static_cast<int>(std::thread::hardware_concurrency());
}

}  // namespace

// With more threads than cores, whom we wait for may need this very core: no spinning.
ThreadPool::ThreadPool(int threads) : size_(threads < 1 ? 1 : threads), spins_(size_ <= availableCores() ? kSpins : 0) {
  for (int i = 1; i < size_; ++i) threads_.emplace_back([this, i] { work(i); });
}

ThreadPool::~ThreadPool() {
  stop_ = true;
  job_.fetch_add(1, std::memory_order_release);
  job_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadPool::wait(const std::atomic<uint32_t>& value, uint32_t old) const {
  for (int i = 0; i < spins_; ++i) {
    if (value.load(std::memory_order_acquire) != old) return;
    relax();
  }
  const auto end = std::chrono::steady_clock::now() + kYielding;
  do {
    if (value.load(std::memory_order_acquire) != old) return;
    sched_yield();
  } while (std::chrono::steady_clock::now() < end);
  value.wait(old, std::memory_order_acquire);
}

void ThreadPool::barrier() {
  if (size_ == 1) return;
  const uint32_t generation = generation_.load(std::memory_order_relaxed);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) == size_ - 1) {
    arrived_.store(0, std::memory_order_relaxed);
    generation_.store(generation + 1, std::memory_order_seq_cst);
    generation_.notify_all();
  } else {
    wait(generation_, generation);
  }
}

void ThreadPool::run(const std::function<void(int)>& fn) {
  if (size_ == 1) return fn(0);
  fn_ = &fn;
  job_.fetch_add(1, std::memory_order_seq_cst);
  job_.notify_all();
  fn(0);
  barrier();
}

void ThreadPool::work(int thread) {
  for (uint32_t seen = 0;;) {
    wait(job_, seen);
    ++seen;
    if (stop_) return;
    (*fn_)(thread);
    barrier();
  }
}

void ThreadPool::parallel(int items, const std::function<void(int)>& fn) {
  if (items <= 0) return;
  std::atomic<int> next{0};
  std::exception_ptr failure;
  std::mutex mutex;
  const std::function<void(int)> take = [&](int) {
    for (int i; (i = next.fetch_add(1, std::memory_order_relaxed)) < items;) {
      try {
        fn(i);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!failure) failure = std::current_exception();
        next.store(items, std::memory_order_relaxed);
      }
    }
  };
  if (items == 1) take(0);
  else run(take);
  if (failure) std::rethrow_exception(failure);
}

}  // namespace mistralrs

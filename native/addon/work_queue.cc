#include "addon/work_queue.h"

#include <utility>

namespace mistralrs {

WorkQueue::WorkQueue(std::function<void()> atEnd) : atEnd_(std::move(atEnd)), thread_([this] { run(); }) {}

WorkQueue::~WorkQueue() {
  stop();
  join();
}

void WorkQueue::push(Task task) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
    ++numPushed_;
  }
  changed_.notify_one();
}

void WorkQueue::interrupt() {
  const std::lock_guard lock(mutex_);
  numInterrupted_ = numPushed_;
  interrupt_.store(true, std::memory_order_relaxed);  // the next task taken sets it anew
}

void WorkQueue::stop() {
  interrupt();
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
}

void WorkQueue::join() {
  if (thread_.joinable()) thread_.join();
}

void WorkQueue::run() {
  for (;;) {
    Task task;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return stopping_ || !tasks_.empty(); });
      if (tasks_.empty()) break;
      task = std::move(tasks_.front());
      tasks_.pop_front();
      interrupt_.store(++numTaken_ <= numInterrupted_ || stopping_, std::memory_order_relaxed);
    }
    task(interrupt_);
  }
  std::exchange(atEnd_, nullptr)();
}

}  // namespace mistralrs

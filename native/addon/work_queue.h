// A thread that runs tasks one after the other in the order they were pushed.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace mistralrs {

class WorkQueue {
 public:
  // `interrupt` becomes true when the task is to end as soon as it can; it may be so from the start. A task must not throw.
  using Task = std::function<void(const std::atomic<bool>& interrupt)>;

  // Starts the thread; `atEnd` is the last thing it runs.
  explicit WorkQueue(std::function<void()> atEnd);
  // Stops and joins; not on the queue's own thread.
  ~WorkQueue();
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  // Everything below may be called on any thread.
  void push(Task task);
  // Interrupts every task pushed so far.
  void interrupt();
  // Interrupts; the thread ends once the tasks pushed so far have run, interrupted.
  void stop();
  // Waits for the end of the thread, after `stop`. One thread at a time.
  void join();

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> tasks_;
  uint64_t numPushed_ = 0, numTaken_ = 0;
  uint64_t numInterrupted_ = 0;  // tasks up to this one are
  bool stopping_ = false;
  std::atomic<bool> interrupt_{false};  // of the running task
  std::function<void()> atEnd_;
  std::thread thread_;
};

}  // namespace mistralrs

#include "addon/environment.h"

#include <cstdlib>
#include <mutex>
#include <set>
#include <utility>

namespace mistralrs {
namespace {

// process.exit() ends the main thread's environment without its clean-up hooks, and a thread that still computes while the
// process takes its libraries apart may crash it. So the queues of all environments are known here.
struct AllQueues {
  std::mutex mutex;
  std::set<WorkQueue*> queues;
};

AllQueues& allQueues() {
  static AllQueues* all = [] {
    std::atexit([] {
      AllQueues& all = allQueues();
      const std::lock_guard lock(all.mutex);
      for (WorkQueue* queue : all.queues) queue->stop();
      for (WorkQueue* queue : all.queues) queue->join();
    });
    return new AllQueues;  // never destroyed: the handler above needs it
  }();
  return *all;
}

void forget(WorkQueue* queue) {
  AllQueues& all = allQueues();
  const std::lock_guard lock(all.mutex);
  all.queues.erase(queue);
}

}  // namespace

// Hooks run newest first: ours, which joins the threads, before the one of the channel's function that they call.
Environment::Environment(Napi::Env env) : env_(env), channel_(env) { napi_add_env_cleanup_hook(env_, cleanUp, this); }

Environment::~Environment() { joinAll(); }

void Environment::cleanUp(void* self) { static_cast<Environment*>(self)->joinAll(); }

void Environment::joinAll() {
  channel_.close();
  for (auto& [queue, running] : running_) running.queue->stop();
  for (auto& [queue, running] : running_) {
    forget(running.queue.get());
    running.queue->join();
  }
  running_.clear();
}

std::shared_ptr<WorkQueue> Environment::startQueue(std::function<void()> atEnd) {
  // The thread cannot be the one to say that it has ended before it is known here: it ends after `stop` only.
  auto self = std::make_shared<const WorkQueue*>(nullptr);
  auto queue = std::make_shared<WorkQueue>([this, self, atEnd = std::move(atEnd)] {
    atEnd();
    channel_.post([this, queue = *self](Napi::Env env) { ended(env, queue); });
  });
  *self = queue.get();
  running_[queue.get()] = {queue, {}};
  AllQueues& all = allQueues();
  const std::lock_guard lock(all.mutex);
  all.queues.insert(queue.get());
  return queue;
}

void Environment::whenEnded(Napi::Env env, const WorkQueue* queue, JsChannel::Call then) {
  const auto found = running_.find(queue);
  if (found == running_.end()) return then(env);
  found->second.whenEnded.push_back(std::move(then));
}

void Environment::ended(Napi::Env env, const WorkQueue* queue) {
  auto node = running_.extract(queue);
  if (node.empty()) return;
  Running& running = node.mapped();
  forget(running.queue.get());
  running.queue->join();  // it has nothing left to do
  for (JsChannel::Call& then : running.whenEnded) then(env);
}

}  // namespace mistralrs

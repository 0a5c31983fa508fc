// A whole file, mapped read-only.
#pragma once
#include <cstdint>
#include <memory>
#include <string>

namespace mistralrs {

class MappedFile {
 public:
  // Throws Error `io`; the message names the file and the system's reason.
  static std::shared_ptr<MappedFile> open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const uint8_t* data() const { return data_; }
  int64_t size() const { return size_; }

 private:
  MappedFile(const uint8_t* data, int64_t size) : data_(data), size_(size) {}
  const uint8_t* data_;
  int64_t size_;
};

}  // namespace mistralrs

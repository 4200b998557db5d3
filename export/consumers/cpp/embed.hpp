// Embeds chips and captions with the C++ API of ONNX Runtime: copy this file.
#pragma once

#include <onnxruntime_cxx_api.h>
#include <png.h>

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

using Rows = std::vector<std::vector<float>>;

/// A picture as RGB bytes, row by row; it must have the model's size, 8 bits a sample, and stand upright already
/// (an orientation in EXIF is not read).
inline std::vector<uint8_t> read_png(const std::string& path, uint32_t size) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  if (!png_image_begin_read_from_file(&image, path.c_str())) throw std::runtime_error(path + ": " + image.message);
  // libpng would bring 16 bits to 8 with a gamma.
  if (image.format & PNG_FORMAT_FLAG_LINEAR) {
    png_image_free(&image);
    throw std::runtime_error(path + ": its samples are not of 8 bits");
  }
  image.format = PNG_FORMAT_RGB;
  if (image.width != size || image.height != size) {
    png_image_free(&image);
    throw std::runtime_error(path + " is not of the model's size");
  }
  std::vector<uint8_t> pixels(PNG_IMAGE_SIZE(image));
  if (!png_image_finish_read(&image, nullptr, pixels.data(), 0, nullptr)) {
    throw std::runtime_error(path + ": " + image.message);
  }
  return pixels;
}

/// One graph of a bundle.
class Tower {
 public:
  Tower(Ort::Env& env, const std::string& path, const char* input, const char* output)
      : session_(env, path.c_str(), Ort::SessionOptions{}), input_(input), output_(output) {}

  /// Runs a batch and gives its unit rows.
  template <typename T>
  Rows run(std::vector<T>& data, const std::vector<int64_t>& shape) {
    auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    auto input = Ort::Value::CreateTensor<T>(memory, data.data(), data.size(), shape.data(), shape.size());
    std::vector<Ort::Value> outputs = session_.Run(Ort::RunOptions{nullptr}, &input_, &input, 1, &output_, 1);
    const auto dims = outputs[0].GetTensorTypeAndShapeInfo().GetShape();
    const float* numbers = outputs[0].GetTensorData<float>();
    Rows rows;
    for (int64_t i = 0; i < dims[0]; i++) rows.emplace_back(numbers + i * dims[1], numbers + (i + 1) * dims[1]);
    return rows;
  }

 private:
  Ort::Session session_;
  const char* input_;
  const char* output_;
};

/// Pictures of RGB bytes to unit rows.
inline Rows embed_images(Tower& tower, const std::vector<std::vector<uint8_t>>& pictures, int64_t size) {
  std::vector<uint8_t> pixels;
  for (const auto& picture : pictures) pixels.insert(pixels.end(), picture.begin(), picture.end());
  return tower.run(pixels, {static_cast<int64_t>(pictures.size()), size, size, 3});
}

/// Token ids to unit rows; shorter captions are filled up with `pad`.
inline Rows embed_ids(Tower& tower, const std::vector<std::vector<int64_t>>& captions, int64_t pad) {
  size_t length = 0;
  for (const auto& ids : captions) length = std::max(length, ids.size());
  std::vector<int64_t> padded;
  for (auto ids : captions) {
    ids.resize(length, pad);
    padded.insert(padded.end(), ids.begin(), ids.end());
  }
  return tower.run(padded, {static_cast<int64_t>(captions.size()), static_cast<int64_t>(length)});
}

/// The cosine of two unit rows.
inline double cosine(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); i++) sum += double(a[i]) * b[i];
  return sum;
}
